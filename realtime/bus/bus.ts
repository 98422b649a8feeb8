/** The bus: how what one process says reaches every process that listens. */

/**
 * Subjects are names; messages are text, delivered whole, in a publisher's order, at most once, to every subscriber
 * of the subject (the publisher's own process too, once, in the same turn). What arrives goes to the listener given at
 * its making.
 */
export type Bus = {
  /** Sends a message. Never throws and never waits. */
  publish(subject: string, message: string): void
  /**
   * Listens to a subject; resolves when every later message is sure to arrive, undefined if that is so at once.
   * Subscribing twice is one subscription.
   */
  subscribe(subject: string): Promise<void> | undefined
  /** Stops listening. Unknown subjects are ignored. */
  unsubscribe(subject: string): void
  /** Returns whether messages reach other processes and come from them now. */
  isUp(): boolean
  close(): Promise<void>
}

export type BusListener = {
  /** Takes a message; what it throws goes to the log, never to the publisher. */
  receive(subject: string, message: string): void
  /** Called when the bus was away and every subject is listened to again: messages may have been lost meanwhile. */
  returned(): void
}

/** Names the subject of a workspace's stream of chat events. */
export const streamSubject = (workspace: string): string => `stream:${workspace}`

/** Names the subject of a general Pusher channel of an app. */
export const channelSubject = (appId: string, channel: string): string => `channel:${appId}:${channel}`

/** The subject that every hub listens to: notices about API keys. */
export const controlSubject = 'control'
