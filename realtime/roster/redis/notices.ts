/** What a script has left to this process: webhooks to notice now, and what is to be looked at again later. */

import type { HookEvent } from '../../../schema/pusher-hooks.ts'
import type { Logger } from '../../logger.ts'
import type { Asked, Keyspace } from '../../redis/keyspace.ts'
import { readMember } from '../news.ts'
import type { Member, RosterListener, RosterPolicy } from '../roster.ts'
import { placeName, type RosterKeys, type RosterPart } from './keys.ts'
import type { CallChannel } from './scripts.ts'

export type Goodbyes = {
  /** Returns whether a goodbye of a channel has yet to be told here. */
  isPending(app: string, channel: string): boolean
}

export type Notices = Goodbyes & {
  /** Takes what a script has left to do; `member` is who it was about. */
  take(app: string, channel: string, todo: unknown, member?: Member): void
  /** Writes the pending goodbyes whose keys may have been lost. */
  writeAgain(isLost?: (key: string) => boolean): void
  close(): void
}

type Goodbye = { app: string; channel: string; value: string; timer: NodeJS.Timeout | undefined }

/** After how many ms something is tried again that Redis did not answer. */
const retryTime = 1000

/** Makes the notices of a process. */
export const createNotices = ({
  keyspace,
  keys,
  partAt,
  node,
  call,
  policyOf,
  listener,
  pause,
  logger,
}: {
  keyspace: Pick<Keyspace, 'run'>
  keys: RosterKeys
  /** Returns the part of the lists that is beside a key. */
  partAt: (key: string) => RosterPart
  node: () => string
  call: CallChannel
  policyOf: (app: string) => RosterPolicy
  listener: Pick<RosterListener, 'noticed'>
  pause: number
  logger: Logger
}): Notices => {
  /** By place, then by the field of the goodbye. */
  const goodbyes = new Map<string, Map<string, Goodbye>>()
  const counts = new Map<string, NodeJS.Timeout>()
  let isClosed = false

  const notice = (app: string, event: HookEvent): void => {
    try {
      if (!isClosed && policyOf(app).hasHooks) listener.noticed(app, event)
    } catch (error) {
      logger.error({ err: error, event: event.name }, 'what the roster noticed could not be taken')
    }
  }

  const wait = (app: string, channel: string, field: string, value: string): void => {
    const place = placeName(app, channel)
    const fields = goodbyes.get(place) ?? new Map<string, Goodbye>()
    goodbyes.set(place, fields)
    clearTimeout(fields.get(field)?.timer)
    // A process that closes leaves them to the others.
    const timer = isClosed ? undefined : setTimeout(confirm, pause, app, channel, field, value)
    fields.set(field, { app, channel, value, timer })
  }

  const confirm = async (app: string, channel: string, field: string, value: string): Promise<void> => {
    const todo = await run(call('confirm', app, channel, field, value))
    const place = placeName(app, channel)
    const fields = goodbyes.get(place)
    const pending = fields?.get(field)
    // Somebody came and left again meanwhile.
    if (isClosed || !fields || pending?.value !== value) return
    if (!todo) {
      pending.timer = setTimeout(confirm, retryTime, app, channel, field, value)
      return
    }
    fields.delete(field)
    const isGone = todo.some(([word]) => word === 'gone')
    if (isGone) void run(call('finish', app, channel, field, value))
    if (fields.size === 0) {
      goodbyes.delete(place)
      const list = partAt(keys.roster(app, channel)).goodbyes(node())
      keyspace.run(list, 'srem', list, place).catch(ignore)
    }
    if (!isGone) return
    const member = readMember(value.slice(value.indexOf('{')))
    if (field === 'g') notice(app, { name: 'channel_vacated', channel })
    else if (member) notice(app, { name: 'member_removed', channel, user_id: member.user_id })
  }

  const lookAgain = (app: string, channel: string, ms: number): void => {
    const place = placeName(app, channel)
    if (isClosed || counts.has(place)) return
    const look = async (): Promise<void> => {
      const todo = await run(call('due', app, channel))
      counts.delete(place)
      if (todo) take(app, channel, todo)
      else lookAgain(app, channel, retryTime)
    }
    counts.set(place, setTimeout(look, ms))
  }

  const run = async ({ key, command }: Asked): Promise<string[][] | undefined> => {
    try {
      return readTodo(await keyspace.run(key, ...command))
    } catch {
      return undefined
    }
  }

  const take = (app: string, channel: string, todo: unknown, member?: Member): void => {
    for (const [word, first = '', second = ''] of readTodo(todo)) {
      if (word === 'occupied') notice(app, { name: 'channel_occupied', channel })
      else if (word === 'added' && member) notice(app, { name: 'member_added', channel, user_id: member.user_id })
      else if (word === 'goodbye') wait(app, channel, first, second)
      else if (word === 'counted') {
        notice(app, { name: 'subscription_count', channel, subscription_count: Number(first) })
      } else if (word === 'due') lookAgain(app, channel, Number(first))
    }
  }

  return {
    take,
    isPending: (app, channel) => goodbyes.has(placeName(app, channel)),
    writeAgain: (isLost = () => true) => {
      for (const [place, fields] of goodbyes) {
        for (const [field, { app, channel, value }] of fields) {
          const key = keys.roster(app, channel)
          if (!isLost(key)) continue
          const list = partAt(key).goodbyes(node())
          keyspace.run(list, 'sadd', list, place).catch(ignore)
          keyspace.run(key, 'hsetnx', key, field, value).catch(ignore)
        }
      }
    },
    close: () => {
      isClosed = true
      for (const timer of counts.values()) clearTimeout(timer)
      for (const fields of goodbyes.values()) for (const { timer } of fields.values()) clearTimeout(timer)
    },
  }
}

const readTodo = (todo: unknown): string[][] =>
  Array.isArray(todo) ? todo.map((words) => (Array.isArray(words) ? words.map(String) : [])) : []

// What was not taken off the list is found to be nothing when this node is taken for dead.
const ignore = (): void => undefined
