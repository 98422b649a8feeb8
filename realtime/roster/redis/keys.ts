/** What the roster's keys in Redis are called. What one script touches has one hash tag, and so one slot of a Cluster. */

import { channelSubject } from '../../bus/bus.ts'
import { createNames, createShardedNames } from '../../bus/redis/names.ts'
import { spreadTags } from '../../redis/slot.ts'

export type RosterKeys = ReturnType<typeof createRosterKeys>

/** Where lists of channels are kept: what is about each node, and which nodes have anything there. */
export type RosterPart = {
  /** The set of places where a node has something. */
  places(node: string): string
  /** The set of places that a node has left and has yet to say goodbye for. */
  goodbyes(node: string): string
  /** The set of nodes. Its slot is that of the others. */
  nodes: string
}

/** In how many parts the lists are in a Cluster: each is kept beside its channels, and is lost with them alone. */
const partCount = 16

/** Makes the names of all keys. In one Redis there is one part. */
export const createRosterKeys = (prefix: string, { isCluster }: { isCluster: boolean }) => {
  const { nameOf } = isCluster ? createShardedNames(prefix) : createNames(prefix)
  const whole: RosterPart = {
    places: (node) => `${prefix}node:{${node}}:places`,
    goodbyes: (node) => `${prefix}node:{${node}}:goodbyes`,
    nodes: `${prefix}nodes`,
  }
  const parts = isCluster ? spreadTags(partCount).map((tag) => partOf(prefix, tag)) : [whole]
  return {
    /** A hash: everything about who is on a channel. */
    roster: (app: string, channel: string) => `${prefix}roster:{${app}:${channel}}`,
    /** What was triggered on a cache channel last. */
    cached: (app: string, channel: string) => `${prefix}cached:{${app}:${channel}}`,
    /** There while a cached event was missed a moment ago. */
    missed: (app: string, channel: string) => `${prefix}missed:{${app}:${channel}}`,
    parts,
    firstPart: parts[0] ?? whole,
    /** What says where the parts are. */
    partNames: parts.map(({ nodes }) => nodes),
    /** When each node's lease ends, in ms of Redis' clock. */
    leases: `${prefix}{nodes}:leases`,
    /** The nodes whose lease has ended, until nothing is left of them. */
    dead: `${prefix}{nodes}:dead`,
    /** A random text that is there since Redis was empty. */
    epoch: `${prefix}{nodes}:epoch`,
    /** How many sockets of an app are on a node: `NODE:APP`. */
    sockets: `${prefix}{nodes}:sockets`,
    /** What changes of a channel are published on: its subject of the bus. */
    subject: (app: string, channel: string) => nameOf(channelSubject(app, channel)),
  }
}

const partOf = (prefix: string, tag: string): RosterPart => ({
  places: (node) => `${prefix}node:${node}:{${tag}}:places`,
  goodbyes: (node) => `${prefix}node:${node}:{${tag}}:goodbyes`,
  nodes: `${prefix}{${tag}}:nodes`,
})

/** Names a channel in a set of places. No id of an app has a colon. */
export const placeName = (app: string, channel: string): string => `${app}:${channel}`

/** Returns which channel a name in a set of places stands for. */
export const readPlace = (name: string): { app: string; channel: string } => {
  const colon = name.indexOf(':')
  return { app: name.slice(0, colon), channel: name.slice(colon + 1) }
}
