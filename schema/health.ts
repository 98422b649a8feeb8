/** What `/ready` tells: whether a process can do its work, and how the parts are that it needs. */

export type PartHealth = 'up' | 'down'

/** `database` is absent in a process that has none. */
export type Health = { isReady: boolean; database?: PartHealth; bus: PartHealth }

/** Returns the answer of `/ready`. A bus that is away delays events; a process with a database works on meanwhile. */
export const presentHealth = ({ isReady, ...parts }: Health): { status: 200 | 503; body: Record<string, string> } => ({
  status: isReady ? 200 : 503,
  body: { status: isReady ? 'ready' : 'not ready', ...parts },
})
