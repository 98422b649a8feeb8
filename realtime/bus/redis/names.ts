/** What messages are called and how they begin in Redis. */

import { randomBytes } from 'node:crypto'
import { channelSubject } from '../bus.ts'

/** How many characters of a message say which process it came from. */
export const signLength = 8

/** The sign of what no process published: every process receives it. A point is in no process's sign. */
export const unsigned = '.'.repeat(signLength)

/** Makes the sign of a process. */
export const makeSign = (): string => randomBytes(6).toString('base64url')

/** How subjects are called, after a prefix by which others can share Redis. */
export type Names = { nameOf(subject: string): string; subjectOf(name: Buffer): string }

/** Makes the names in one Redis. */
export const createNames = (prefix: string): Names => {
  const start = Buffer.byteLength(prefix)
  return { nameOf: (subject) => prefix + subject, subjectOf: (name) => name.toString('utf8', start) }
}

/** Makes the names in a Cluster: that of a channel is in the slot of all that is kept about it, by `{APP:CHANNEL}`. */
export const createShardedNames = (prefix: string): Names => {
  const plain = createNames(prefix)
  return {
    nameOf: (subject) =>
      plain.nameOf(subject.startsWith(channels) ? `${channels}{${subject.slice(channels.length)}}` : subject),
    subjectOf: (name) => {
      const subject = plain.subjectOf(name)
      return subject.startsWith(`${channels}{`) ? channels + subject.slice(channels.length + 1, -1) : subject
    },
  }
}

/** How the subjects of channels begin. */
const channels = channelSubject('', '').slice(0, -1)
