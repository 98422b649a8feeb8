/** What the roster's keys in Redis are called. What one script touches has one hash tag, and so one slot of a Cluster. */

import { channelSubject } from '../../bus/bus.ts'

export type RosterKeys = ReturnType<typeof createRosterKeys>

/** Makes the names of all keys. */
export const createRosterKeys = (prefix: string) => ({
  /** A hash: everything about who is on a channel. */
  roster: (app: string, channel: string) => `${prefix}roster:{${app}:${channel}}`,
  /** What was triggered on a cache channel last. */
  cached: (app: string, channel: string) => `${prefix}cached:{${app}:${channel}}`,
  /** There while a cached event was missed a moment ago. */
  missed: (app: string, channel: string) => `${prefix}missed:{${app}:${channel}}`,
  /** The set of places where a node has something. */
  places: (node: string) => `${prefix}node:{${node}}:places`,
  /** The set of places that a node has left and has yet to say goodbye for. */
  goodbyes: (node: string) => `${prefix}node:{${node}}:goodbyes`,
  /** When each node's lease ends, in ms of Redis' clock. */
  leases: `${prefix}{nodes}:leases`,
  /** The nodes whose lease has ended, until nothing is left of them. */
  dead: `${prefix}{nodes}:dead`,
  /** A random text that is there since Redis was empty. */
  epoch: `${prefix}{nodes}:epoch`,
  /** How many sockets of an app are on a node: `NODE:APP`. */
  sockets: `${prefix}{nodes}:sockets`,
  /** What changes of a channel are published on: its subject of the bus. */
  subject: (app: string, channel: string) => prefix + channelSubject(app, channel),
})

/** Names a channel in a set of places. No id of an app has a colon. */
export const placeName = (app: string, channel: string): string => `${app}:${channel}`

/** Returns which channel a name in a set of places stands for. */
export const readPlace = (name: string): { app: string; channel: string } => {
  const colon = name.indexOf(':')
  return { app: name.slice(0, colon), channel: name.slice(colon + 1) }
}
