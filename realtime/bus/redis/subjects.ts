/** The subjects that Redis sends to this process: those that are wanted here, asked for in few commands. */

import type { RedisLink } from '../../redis/link.ts'

export type RedisSubjects = {
  has(subject: string): boolean
  /** Wants a subject; resolves when Redis has confirmed it, or when it is no longer wanted. */
  add(subject: string): Promise<void>
  delete(subject: string): void
  /** Wants a subject no more that Redis does not send here any more. */
  forget(subject: string): void
  size(): number
  /** Asks for all of them on a new connection; returns whether Redis has confirmed all. */
  askAgain(): Promise<boolean>
  /** Returns whether Redis has refused none of them. */
  isWhole(): boolean
  /** Asks again for those that it has. */
  retry(): void
  /** Wants nothing any more, whatever is asked. */
  close(): void
}

type Wish = { confirmed: Promise<void>; confirm: () => void }

/**
 * How a kind of Redis is asked. `atOnce`: how many subjects go into one command, while which Redis does nothing else.
 * After a refusal it is asked again later; after any other failure the link is cut.
 */
export type AskingWay = {
  subscribe: 'subscribe' | 'ssubscribe'
  unsubscribe: 'unsubscribe' | 'sunsubscribe'
  atOnce: number
  isRefusal(error: unknown): boolean
}

const usual: AskingWay = { subscribe: 'subscribe', unsubscribe: 'unsubscribe', atOnce: 1000, isRefusal: () => false }

/** Makes the set of what is wanted over a link. `nameOf` returns what a subject is called in Redis. */
export const createRedisSubjects = (
  { client, isReady, cut }: RedisLink,
  nameOf: (subject: string) => string,
  { subscribe, unsubscribe, atOnce, isRefusal }: AskingWay = usual,
): RedisSubjects => {
  const wishes = new Map<string, Wish>()
  /** What this connection was last told to send. */
  const told = new Set<string>()
  /** What was wanted or left in this turn of the loop. */
  const changed = new Set<string>()
  /** What is not sent from here, as Redis says: others know better by now, or Redis will. */
  const refused = new Set<string>()
  let turn: NodeJS.Immediate | undefined
  let isClosed = false

  /** Sends commands for many subjects; returns whether Redis has done them all. */
  const send = async (
    command: AskingWay['subscribe' | 'unsubscribe'],
    subjects: string[],
    onDone?: (part: string[]) => void,
  ): Promise<boolean> => {
    const parts = Array.from({ length: Math.ceil(subjects.length / atOnce) }, (_, n) =>
      subjects.slice(n * atOnce, (n + 1) * atOnce),
    )
    const done = await Promise.all(
      parts.map(async (part) => {
        try {
          await client[command](...part.map(nameOf))
          onDone?.(part)
          return true
        } catch (error) {
          // A new connection begins anew; on one that is lost already this is nothing.
          if (command !== subscribe || !isRefusal(error)) cut(`${command} failed: ${String(error)}`)
          else refuse(part)
          return false
        }
      }),
    )
    return done.every(Boolean)
  }

  const refuse = (subjects: string[]): void => {
    for (const subject of subjects) {
      told.delete(subject)
      if (wishes.has(subject)) refused.add(subject)
    }
  }

  const ask = (subjects: string[]): Promise<boolean> => {
    // What was left and wanted again meanwhile has another wish, which this answer does not confirm.
    const asked = new Map(subjects.map((subject) => [subject, wishes.get(subject)]))
    for (const subject of subjects) told.add(subject)
    return send(subscribe, subjects, (part) => {
      for (const subject of part) asked.get(subject)?.confirm()
    })
  }

  const flush = (): void => {
    turn = undefined
    // A new connection is asked for everything.
    if (!isReady()) return
    const wanted = [...changed].filter((subject) => wishes.has(subject))
    const left = [...changed].filter((subject) => !wishes.has(subject) && told.delete(subject))
    changed.clear()
    if (wanted.length > 0) void ask(wanted)
    if (left.length > 0) void send(unsubscribe, left)
  }

  const change = (subject: string): void => {
    changed.add(subject)
    turn ??= setImmediate(flush)
  }

  return {
    has: (subject) => wishes.has(subject),
    add: async (subject) => {
      if (isClosed) return
      const known = wishes.get(subject)
      if (known) return known.confirmed
      const wish = createWish()
      wishes.set(subject, wish)
      change(subject)
      return wish.confirmed
    },
    delete: (subject) => {
      wishes.get(subject)?.confirm()
      refused.delete(subject)
      if (wishes.delete(subject)) change(subject)
    },
    forget: (subject) => {
      told.delete(subject)
      refused.delete(subject)
      wishes.delete(subject)
    },
    size: () => wishes.size,
    isWhole: () => refused.size === 0,
    retry: () => {
      for (const subject of refused) change(subject)
      refused.clear()
    },
    askAgain: () => {
      changed.clear()
      told.clear()
      refused.clear()
      return ask([...wishes.keys()])
    },
    close: () => {
      isClosed = true
      clearImmediate(turn)
      for (const { confirm } of wishes.values()) confirm()
      wishes.clear()
    },
  }
}

const createWish = (): Wish => {
  let confirm = (): void => undefined
  const confirmed = new Promise<void>((resolve) => {
    confirm = resolve
  })
  return { confirmed, confirm }
}
