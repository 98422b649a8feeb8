/** What the HTTP API asks of an app's side of the hub. */

import type { PusherApp } from '../../schema/pusher-apps.ts'
import type { AppMetrics } from '../metrics.ts'

/** An app as its servers reach it: who it is, what it counts, and what they may do to its sockets. */
export type AppApi = {
  readonly app: PusherApp
  readonly metrics: AppMetrics
  /** Sends an event to every socket of a channel on every node, except to one; a promise where it has to be kept first (cache channels). */
  publish(channel: string, event: string, data: string, exceptSocketId?: string): Promise<void> | undefined
  /** Closes every socket that is signed in as a user, on every node. */
  terminate(user: string): void
}
