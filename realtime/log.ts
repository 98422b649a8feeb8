/** What the realtime side reads of the chat's database: passed in by the composition root, absent without a database. */

import type { ChatChannel } from '../schema/channels.ts'
import type { LoggedEvent } from '../schema/events.ts'
import type { KeyStanding } from '../schema/key-notice.ts'
import type { Missed, MissedRequest } from '../schema/recovery.ts'

/** Reads the log of a workspace: the events after a seq, in order, at most `limit`. */
export type ReadHistory = (workspace: string, after: number, limit: number) => Promise<LoggedEvent[]>

export type EventLog = {
  /** Returns the number of the newest event of each workspace; one without events may be absent. */
  heads(workspaces: string[]): Promise<Map<string, number>>
  history: ReadHistory
  /** Returns what a channel told after a number. */
  missed(request: MissedRequest): Promise<Missed>
  /** Returns whose a chat channel is; undefined if there is no such channel. */
  workspaceOf(channel: ChatChannel): Promise<string | undefined>
  /** Returns how keys stand; one that was removed is absent. */
  keyStates(keys: string[]): Promise<Map<string, KeyStanding>>
}
