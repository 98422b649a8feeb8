/** Users and members: what an app signs of who a socket belongs to. */

import { z } from 'zod'
import { readJson } from './json.ts'

/** Pusher's limits: characters of a user's id, users on a watchlist. */
export const maxUserId = 128
export const maxWatchlist = 100

const userId = z.union(
  [z.string().min(1, 'must not be empty').max(maxUserId, `must have at most ${maxUserId} characters`), z.number()],
  'must be a string or a number',
)

/** The user_data of `pusher:signin`, in the words of the app. */
const userData = z.looseObject({
  id: userId,
  user_info: z.unknown().optional(),
  watchlist: z.array(userId, 'must be an array of user ids').nullish(),
})

/** Who has signed in. `watchlist` are the users of whom it is told when they come and go. */
export type UserData = { id: string; info: unknown; watchlist: string[] }

/** Reads the user_data of a signin; a text says what is wrong with it. */
export const readUserData = (text: string): UserData | string => {
  const parsed = userData.safeParse(readJson(text))
  if (!parsed.success) return wrong('user_data', parsed.error)
  const { id, user_info, watchlist } = parsed.data
  return { id: String(id), info: user_info, watchlist: [...new Set((watchlist ?? []).map(String))] }
}

const memberData = z.looseObject({ user_id: userId.optional(), user_info: z.unknown().optional() })

/** A user on a presence channel, as signed: the id keeps its type. */
export type MemberData = { user_id: string | number; user_info?: unknown }

/** Reads who joins a presence channel; undefined if channel_data does not say, a text says what is wrong with it. */
export const readMember = (channelData: string): MemberData | string | undefined => {
  const parsed = memberData.safeParse(readJson(channelData))
  if (!parsed.success) return wrong('channel_data', parsed.error)
  const { user_id, user_info } = parsed.data
  if (user_id === undefined) return undefined
  return user_info === undefined ? { user_id } : { user_id, user_info }
}

const wrong = (name: string, { issues }: z.ZodError): string =>
  `Invalid ${name}: ${[...(issues[0]?.path ?? []).map(String), issues[0]?.message].join(' ')}`
