/** News: how the roster's changes are written on a channel's subject, beside what the relay writes there. */

import { channelUser } from '../../schema/channels.ts'
import type { Member, RosterListener } from './roster.ts'

/**
 * `+` and `-` with a version and a member, `=` with a count, `!` for online, `?` for offline. The relay's messages begin
 * with a digit, a space or a line break.
 */
const news = /^(?:(?<kind>[+-])(?<version>\d+) (?<member>.*)|=(?<count>\d+)|(?<turn>[!?]))$/s

/** Returns whether a message on a channel's subject is the roster's. */
export const isNews = (message: string): boolean => '+-=!?'.includes(message.charAt(0) || ' ')

/** Tells a listener what a message says; what is no news is told to nobody. */
export const tellNews = (
  app: string,
  channel: string,
  message: string,
  listener: Pick<RosterListener, 'changed' | 'counted' | 'turned'>,
): void => {
  const { kind, version, member, count, turn } = news.exec(message)?.groups ?? {}
  if (count !== undefined) listener.counted(app, channel, Number(count))
  const user = channelUser(channel)
  if (turn !== undefined && user !== undefined) listener.turned(app, user, turn === '!')
  const read = member === undefined ? undefined : readMember(member)
  if (!read) return
  listener.changed(app, channel, { kind: kind === '+' ? 'joined' : 'left', member: read, version: Number(version) })
}

/** Writes a member as it is kept. */
export const writeMember = ({ user_id, user_info }: Member): string => JSON.stringify({ user_id, user_info })

/** Reads a member that was written; undefined if it is none. */
export const readMember = (text: string): Member | undefined => {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof read !== 'object' || read === null || !('user_id' in read)) return undefined
  const { user_id, user_info } = { user_info: undefined, ...read }
  if (typeof user_id !== 'string' && typeof user_id !== 'number') return undefined
  return { user_id, ...(user_info !== undefined && { user_info }) }
}
