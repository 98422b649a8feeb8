/** What the roster does inside Redis: each script is one change that nobody comes between. */

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { channelKind, channelUser } from '../../../schema/channels.ts'
import type { RosterPolicy } from '../roster.ts'
import { channelScripts } from './channel-scripts.ts'
import type { RosterKeys } from './keys.ts'
import { nodeScripts } from './node-scripts.ts'

const sources = { ...channelScripts, ...nodeScripts }

export type ScriptName = keyof typeof sources

const hashes = new Map(
  Object.entries(sources).map(([name, source]) => [name, createHash('sha1').update(source).digest('hex')]),
)

/** The words of an EVALSHA: what is called, how many keys, the keys and the arguments. */
export type ScriptCall = [hash: string, keys: number, ...words: (string | number)[]]

/** Returns the words that run a script, after it was loaded. */
export const callOf = (name: ScriptName, keys: string[], ...words: (string | number)[]): ScriptCall => [
  hashes.get(name) ?? '',
  keys.length,
  ...keys,
  ...words,
]

/** Returns the words that run a script about a channel. */
export type CallChannel = (
  name: Exclude<keyof typeof channelScripts, 'members'>,
  app: string,
  channel: string,
  ...words: (string | number)[]
) => ScriptCall

/** Makes what runs scripts about channels for a node. `pause`: how long the count of a large channel waits, in ms. */
export const createCallChannel =
  ({
    keys,
    node,
    policyOf,
    pause,
  }: {
    keys: RosterKeys
    node: () => string
    policyOf: (app: string) => RosterPolicy
    pause: number
  }): CallChannel =>
  (name, app, channel, ...words) => {
    const { hasHooks, tellsCounts } = policyOf(app)
    const isUser = channelUser(channel) !== undefined
    const hasCount = tellsCounts && !isUser && channelKind(channel).access !== 'presence'
    const flags = `${isUser ? 'u' : ''}${hasHooks && !isUser ? 'h' : ''}${hasCount ? 'c' : ''}`
    return callOf(name, [keys.roster(app, channel)], node(), keys.subject(app, channel), flags, pause, ...words)
  }

/** Gives Redis all scripts: it forgets them when it is started again. */
export const loadScripts = async (client: Redis): Promise<void> => {
  await Promise.all(Object.values(sources).map((source) => client.script('LOAD', source)))
}
