/** What a process counts of itself, for Prometheus. */

import { Counter, Gauge, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** What one app counts, as plain numbers: they change with every frame and are read when Prometheus asks. */
export type AppMetrics = {
  sockets: number
  subscriptions: number
  /** Events published over HTTP, and by clients. */
  published: number
  clientEvents: number
  /** Frames to sockets, and those of sockets; bytes of their text. */
  sent: number
  sentBytes: number
  received: number
  receivedBytes: number
  /** Counts a refusal; `reason` is one of few words or a code. */
  refused(reason: string): void
}

/** Makes the metrics of one process. */
export const createMetrics = () => {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name: `hubbub_${name}`, help, registers })
  const gauge = (name: string, help: string) => new Gauge({ name: `hubbub_${name}`, help, registers })

  return {
    busUp: gauge('bus_up', 'Whether messages reach other processes and come from them (1) or not (0).'),
    busReturns: counter('bus_returns_total', 'Times that the bus came back after it was away.'),
    busPublished: counter('bus_published_total', 'Messages published on the bus.'),
    busDropped: counter('bus_dropped_total', 'Messages that could not be given to the bus.'),
    busReceived: counter('bus_received_total', 'Messages that came from other processes.'),
    sockets: gauge('sockets', 'Sockets that are open.'),
    slowSockets: counter('slow_sockets_total', 'Sockets that were cut because they did not keep up.'),
    lateSubscriptions: counter('late_subscriptions_total', 'Subscriptions that went on before the bus had confirmed.'),
    holes: counter('stream_holes_total', 'Holes in streams that were filled from the log.'),
    replays: new Counter({
      name: 'hubbub_replays_total',
      help: 'Replays by how they ended.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    replayed: counter('replayed_events_total', 'Events sent again to subscribers that came back.'),
    keyCuts: counter('key_cuts_total', 'Subscriptions that were cut because their key changed.'),
    /** Returns everything in the text format of Prometheus. */
    text: () => registry.metrics(),
  }
}
