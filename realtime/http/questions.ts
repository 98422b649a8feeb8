/** What servers ask of an app over HTTP: which channels have sockets, how many, and who is there. */

import { channelKind, channelName } from '../../schema/channels.ts'
import { channelAttributes, countAttributes, hasAttribute, readInfo } from '../../schema/pusher-http.ts'
import type { Roster } from '../roster/roster.ts'
import type { HttpReply } from '../transport/transport.ts'
import { type Call, type Route, unescapePath } from './call.ts'
import { presentCounts } from './counts.ts'
import { readQueryParams } from './params.ts'
import { json, text, tryLater } from './replies.ts'

type Answer = HttpReply | Promise<HttpReply>

/** Makes the routes that answer questions. */
export const createQuestions = ({ roster }: { roster: Pick<Roster, 'channels' | 'counts' | 'members' | 'recall'> }) => {
  const channels = ({ caller, request }: Call): Answer => {
    const params = readQueryParams(request.query)
    const prefix = params.get('filter_by_prefix') ?? ''
    const info = readInfo(params.get('info') ?? '', countAttributes)
    if (typeof info === 'string') return text(400, `info: ${info}`)
    if (info.includes('user_count') && !prefix.startsWith('presence-')) {
      return text(400, 'info: user_count needs a filter_by_prefix that begins with presence-')
    }
    // No channel begins with what no name is made of.
    if (prefix !== '' && !channelName.test(prefix)) return json(200, '{"channels":{}}')

    const { id } = caller.api.app
    return ask(async () => {
      const names = await roster.channels(id, prefix)
      if (info.length === 0) return { channels: Object.fromEntries(names.map((name) => [name, {}])) }
      const counts = names.length > 0 ? await roster.counts(id, names) : []
      const rows = names.map((name, index) => ({ name, counted: counts[index] }))
      return {
        channels: Object.fromEntries(
          rows
            // Everybody may have left between the two questions.
            .filter(({ counted }) => counted && counted.subscriptions > 0)
            .map(({ name, counted }) => [name, presentCounts(info, counted)]),
        ),
      }
    })
  }

  const channel = ({ caller, request, subject }: Call): Answer => {
    const name = readChannel(caller, subject)
    if (typeof name !== 'string') return name
    const info = readInfo(readQueryParams(request.query).get('info') ?? '', channelAttributes)
    if (typeof info === 'string') return text(400, `info: ${info}`)
    const missing = info.find((attribute) => !hasAttribute(name, attribute))
    if (missing !== undefined) return text(400, `info: ${name} has no ${missing}: only ${owners[missing]} have one`)

    const { id } = caller.api.app
    return ask(async () => {
      const [[counts], cached] = await Promise.all([
        roster.counts(id, [name]),
        info.includes('cache') ? roster.recall(id, name) : undefined,
      ])
      return {
        occupied: (counts?.subscriptions ?? 0) > 0,
        ...presentCounts(info, counts),
        ...(info.includes('cache') && { cache: cached ? { data: cached.data, ttl: cached.ttl } : null }),
      }
    })
  }

  const users = ({ caller, subject }: Call): Answer => {
    const name = readChannel(caller, subject)
    if (typeof name !== 'string') return name
    if (!hasAttribute(name, 'user_count')) return text(400, `${name} has no users: only presence channels have them`)
    return ask(async () => {
      const { members } = await roster.members(caller.api.app.id, name)
      return { users: members.map(({ user_id }) => ({ id: String(user_id) })) }
    })
  }

  /** The question of 2012: a channel, with what is now asked for by info. */
  const stats = ({ caller, subject }: Call): Answer => {
    const name = readChannel(caller, subject)
    if (typeof name !== 'string') return name
    const info = channelKind(name).access === 'presence' ? ['user_count'] : []
    return ask(async () => {
      const [counts] = await roster.counts(caller.api.app.id, [name])
      return { occupied: (counts?.subscriptions ?? 0) > 0, ...presentCounts(info, counts) }
    })
  }

  return {
    channels: question(channels),
    channel: question(channel),
    users: question(users),
    stats: question(stats),
  }
}

const question = (answer: (call: Call) => Answer): Route => ({
  allow: 'GET, HEAD',
  answer: (call) => call.caller.reads(1) ?? answer(call),
})

const readChannel = ({ api }: Call['caller'], subject: string): string | HttpReply => {
  const name = unescapePath(subject)
  const longest = api.app.maxChannelNameLength
  if (name !== undefined && name.length <= longest && channelName.test(name)) return name
  return text(400, `The path names no channel: 1 to ${longest} letters, digits and _ - = @ , . ; are allowed`)
}

const ask = (read: () => Promise<object>): Promise<HttpReply> =>
  read().then(
    (answer) => json(200, JSON.stringify(answer)),
    () => tryLater('What is known of the channels cannot be read now; try again'),
  )

const owners = { user_count: 'presence channels', subscription_count: 'channels', cache: 'cache channels' }
