/** The bus: how what one process says reaches every process that listens. */

/**
 * Subjects are names; messages are text, delivered whole, in a publisher's order, at most once, to every subscriber
 * of the subject (the publisher's own process too, once). What arrives goes to the one function given at its making.
 */
export type Bus = {
  /** Sends a message. Never throws and never waits. */
  publish(subject: string, message: string): void
  /** Listens to a subject; resolves when every later message is sure to arrive. Subscribing twice is one subscription. */
  subscribe(subject: string): Promise<void>
  /** Stops listening. Unknown subjects are ignored. */
  unsubscribe(subject: string): void
  close(): Promise<void>
}

export type Receive = (subject: string, message: string) => void

/** Names the subject of a workspace's stream of chat events. */
export const streamSubject = (workspace: string): string => `stream:${workspace}`

/** Names the subject of a general Pusher channel of an app. */
export const channelSubject = (appId: string, channel: string): string => `channel:${appId}:${channel}`
