/** The counts of channels, as the HTTP API tells them. */

import { type CountAttribute, hasAttribute } from '../../schema/pusher-http.ts'
import type { Counts, Roster } from '../roster/roster.ts'

/** A channel and what is asked of it. */
export type Question = { channel: string; info: readonly CountAttribute[] }

/** The answer to a question. */
export type Told = { user_count?: number; subscription_count?: number }

/** Returns a question without what its channel does not have. */
export const fitting = ({ channel, info }: Question): Question => ({
  channel,
  info: info.filter((attribute) => hasAttribute(channel, attribute)),
})

/** Returns the answers to questions, in their order; rejects where the roster cannot be asked. */
export const tellCounts = async (
  roster: Pick<Roster, 'counts'>,
  app: string,
  questions: readonly Question[],
): Promise<Told[]> => {
  const channels = [...new Set(questions.filter(({ info }) => info.length > 0).map(({ channel }) => channel))]
  const counts = channels.length > 0 ? await roster.counts(app, channels) : []
  const counted = new Map(channels.map((channel, index) => [channel, counts[index]]))
  return questions.map(({ channel, info }) => presentCounts(info, counted.get(channel)))
}

/** Returns the asked ones of a channel's counts. */
export const presentCounts = (
  info: readonly string[],
  { users, subscriptions }: Counts = { users: 0, subscriptions: 0 },
): Told => ({
  ...(info.includes('user_count') && { user_count: users }),
  ...(info.includes('subscription_count') && { subscription_count: subscriptions }),
})
