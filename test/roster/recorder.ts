/** What one node's roster told its listener, and a way to wait for more. */

import { expect } from 'vitest'
import type { RosterListener } from '../../realtime/roster/roster.ts'

export type RosterRecorder = {
  listener: RosterListener
  /** Everything that was told, each as one line, in order. */
  told: string[]
  /** The lines that begin so. */
  lines(start: string): string[]
  /** Resolves once this has been told. */
  tells(line: string): Promise<void>
  /** The versions of the changes, in the order in which they came. */
  versions: number[]
}

/** Makes a recorder. Lines are such as `+ chat:presence-a 7`, `= chat:a 3`, `! chat 7`, `hook chat channel_occupied a`. */
export const createRosterRecorder = (): RosterRecorder => {
  const told: string[] = []
  const versions: number[] = []
  return {
    told,
    versions,
    lines: (start) => told.filter((line) => line.startsWith(start)),
    tells: (line) => expect.poll(() => told, { timeout: 12_000, interval: 10 }).toContain(line),
    listener: {
      changed: (app, channel, { kind, member, version }) => {
        versions.push(version)
        told.push(`${kind === 'joined' ? '+' : '-'} ${app}:${channel} ${JSON.stringify(member.user_id)}`)
      },
      counted: (app, channel, subscriptions) => told.push(`= ${app}:${channel} ${subscriptions}`),
      turned: (app, user, isOnline) => told.push(`${isOnline ? '!' : '?'} ${app} ${user}`),
      noticed: (app, event) => told.push(`hook ${app} ${Object.values(event).join(' ')}`),
      returned: () => told.push('returned'),
    },
  }
}
