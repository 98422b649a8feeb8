/** What the roster does inside Redis: each script is one change that nobody comes between. */

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { channelKind, channelUser } from '../../../schema/channels.ts'
import type { Command } from '../../redis/keyspace.ts'
import type { RosterPolicy } from '../roster.ts'
import { channelScripts, publishing } from './channel-scripts.ts'
import type { RosterKeys } from './keys.ts'
import { nodeScripts } from './node-scripts.ts'

type ScriptName = keyof typeof channelScripts | keyof typeof nodeScripts

export type Scripts = {
  /** Returns the command that runs a script, after it was loaded. */
  callOf(name: ScriptName, keys: string[], ...words: (string | number)[]): Command
  /** Gives Redis all scripts: it forgets them when it is started again. */
  load(client: Redis): Promise<void>
}

/** Makes the scripts; those for a Cluster tell what has changed at the shard of the channel alone. */
export const createScripts = ({ isCluster }: { isCluster: boolean }): Scripts => {
  const sources = Object.entries({ ...channelScripts, ...nodeScripts }).map(([name, source]): [string, string] => [
    name,
    isCluster ? source.replace(publishing, publishing.replace('PUBLISH', 'SPUBLISH')) : source,
  ])
  const hashes = new Map(sources.map(([name, source]) => [name, createHash('sha1').update(source).digest('hex')]))
  return {
    callOf: (name, keys, ...words) => ['evalsha', hashes.get(name) ?? '', keys.length, ...keys, ...words],
    load: async (client) => {
      await Promise.all(sources.map(([, source]) => client.script('LOAD', source)))
    },
  }
}

/** Returns what runs a script about a channel, at the channel's key. */
export type CallChannel = (
  name: Exclude<keyof typeof channelScripts, 'members' | 'keep'>,
  app: string,
  channel: string,
  ...words: (string | number)[]
) => { key: string; command: Command }

/** Makes what runs scripts about channels for a node. `pause`: how long the count of a large channel waits, in ms. */
export const createCallChannel =
  ({
    keys,
    callOf,
    node,
    policyOf,
    pause,
  }: {
    keys: RosterKeys
    callOf: Scripts['callOf']
    node: () => string
    policyOf: (app: string) => RosterPolicy
    pause: number
  }): CallChannel =>
  (name, app, channel, ...words) => {
    const { hasHooks, tellsCounts } = policyOf(app)
    const isUser = channelUser(channel) !== undefined
    const hasCount = tellsCounts && !isUser && channelKind(channel).access !== 'presence'
    const flags = `${isUser ? 'u' : ''}${hasHooks && !isUser ? 'h' : ''}${hasCount ? 'c' : ''}`
    const key = keys.roster(app, channel)
    return { key, command: callOf(name, [key], node(), keys.subject(app, channel), flags, pause, ...words) }
  }
