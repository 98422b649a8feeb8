/** How long a message takes from this process to Redis and back: a probe on a subject of its own, all the time. */

import type { Metrics } from '../../metrics.ts'

/** How every probe begins, in the place of a sign: no process signs so, since signs are of Base64. */
export const probeSign = '<<lag>> '

/** How often a probe is sent, in ms. */
const pause = 2000

export type LagWatch = {
  /** Listens for the probes on a new connection. */
  listen(): void
  /** Takes a probe that came back. */
  returned(message: Buffer): void
  start(): void
  end(): void
}

/** Makes the watch over a subject that is this process's alone. */
export const createLagWatch = ({
  send,
  subscribe,
  busLag,
  every = pause,
}: {
  /** Publishes a probe, if it can be sent now. */
  send: (message: string) => Promise<unknown> | undefined
  subscribe: () => Promise<unknown> | undefined
  busLag: Metrics['busLag']
  every?: number
}): LagWatch => {
  let probes: NodeJS.Timeout | undefined
  /** When the first probe was sent that has no answer yet. */
  let waiting: number | undefined

  const probe = (): void => {
    const now = performance.now()
    // While nothing comes back the lag is at least as long as that has been so.
    if (waiting !== undefined) busLag.set((now - waiting) / 1000)
    waiting ??= now
    send(`${probeSign}${now}`)?.catch(ignore)
  }

  return {
    listen: () => {
      subscribe()?.catch(ignore)
    },
    returned: (message) => {
      busLag.set((performance.now() - Number(message.toString('latin1', probeSign.length))) / 1000)
      waiting = undefined
    },
    start: () => {
      probe()
      probes = setInterval(probe, every)
    },
    end: () => clearInterval(probes),
  }
}

// What fails here shows as a lag that grows.
const ignore = (): void => undefined
