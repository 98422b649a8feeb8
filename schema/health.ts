/** What a process tells of itself: whether it can do its work, how the parts are that it needs, and its metrics. */

export type PartHealth = 'up' | 'down'

/** `database` is absent in a process that has none. */
export type Health = { isReady: boolean; database?: PartHealth; bus: PartHealth }

/** Returns the answer of `/ready`. A bus that is away delays events; a process with a database works on meanwhile. */
export const presentHealth = ({ isReady, ...parts }: Health): { status: 200 | 503; body: Record<string, string> } => ({
  status: isReady ? 200 : 503,
  body: { status: isReady ? 'ready' : 'not ready', ...parts },
})

/** Who uses a process: when it was asked something last, in ms, and whether it is about to stop. */
export type Use = { lastAsked: number; isDraining: boolean }

/** What is shown to who operates the process. `metrics` is text for Prometheus, `metricsToken` opens it from afar. */
export type Operations = {
  health: () => Promise<Health>
  metrics: () => Promise<string>
  metricsToken?: string | undefined
  /** Kept by the ports: who asks a process that is about to stop is told to come back on another connection. */
  use?: Use
}
