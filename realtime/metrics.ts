/** What a process counts of itself, for Prometheus. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

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

/**
 * Makes the metrics of one process. `ofProcess` adds those of Node (CPU, memory, event loop, GC) to them: they are
 * measured until the process ends, so only the program itself asks for them.
 */
export const createMetrics = ({ ofProcess = false }: { ofProcess?: boolean } = {}) => {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name: `hubbub_${name}`, help, registers })
  const gauge = (name: string, help: string) => new Gauge({ name: `hubbub_${name}`, help, registers })
  if (ofProcess) addProcessMetrics(registry)
  const hookDeliveries = new Counter({
    name: 'hubbub_webhook_deliveries_total',
    help: 'Webhooks by app and outcome: events delivered, events dropped, and requests that failed and are retried.',
    labelNames: ['app', 'outcome'] as const,
    registers,
  })

  return {
    /** What else a process counts is shown with these. */
    registry,
    busUp: gauge('bus_up', 'Whether messages reach other processes and come from them (1) or not (0).'),
    busLag: gauge('bus_lag_seconds', 'How long a message takes to Redis and back; 0 where the bus is this process.'),
    busReturns: counter('bus_returns_total', 'Times that the bus came back after it was away.'),
    busPublished: counter('bus_published_total', 'Messages published on the bus.'),
    busDropped: counter('bus_dropped_total', 'Messages that could not be given to the bus.'),
    busReceived: counter('bus_received_total', 'Messages that came from other processes.'),
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
    hookDeliveries,
    /** Returns what counts the webhooks of an app. */
    hooksOf: (app: string) => ({
      told: (events: number) => hookDeliveries.inc({ app, outcome: 'delivered' }, events),
      failed: () => hookDeliveries.inc({ app, outcome: 'retried' }),
      dropped: (events: number) => hookDeliveries.inc({ app, outcome: 'dropped' }, events),
    }),
    /** Returns what an app counts; the same each time. */
    ofApp: createAppMetrics(registry),
    /** Returns everything in the text format of Prometheus. */
    text: () => registry.metrics(),
  }
}

const addProcessMetrics = (register: Registry): void => {
  collectDefaultMetrics({ register, prefix: 'hubbub_', eventLoopMonitoringPrecision: 20 })
  // These list every socket each time they are asked.
  for (const listed of ['resources', 'handles', 'requests']) {
    register.removeSingleMetric(`hubbub_nodejs_active_${listed}`)
    register.removeSingleMetric(`hubbub_nodejs_active_${listed}_total`)
  }
}

/** Makes the keeper of what each app counts, and the metrics that show it with the label `app`. */
const createAppMetrics = (registry: Registry): ((appId: string) => AppMetrics) => {
  const apps = new Map<string, AppMetrics>()
  const refusals = new Map<string, Map<string, number>>()
  const registers = [registry]
  type Count = Exclude<keyof AppMetrics, 'refused'>

  const gauge = (count: Count, name: string, help: string) =>
    new Gauge({
      name: `hubbub_${name}`,
      help,
      labelNames: ['app'] as const,
      registers,
      collect() {
        for (const [app, counts] of apps) this.set({ app }, counts[count])
      },
    })
  const counter = (count: Count, name: string, help: string) =>
    new Counter({
      name: `hubbub_${name}`,
      help,
      labelNames: ['app'] as const,
      registers,
      // Both in one turn: a counter can only be set by beginning anew.
      collect() {
        this.reset()
        for (const [app, counts] of apps) this.inc({ app }, counts[count])
      },
    })

  gauge('sockets', 'sockets', 'Sockets that are open, by app.')
  gauge('subscriptions', 'subscriptions', 'Subscriptions of open sockets, by app.')
  counter('published', 'published_events_total', 'Events published over HTTP, by app.')
  counter('clientEvents', 'client_events_total', 'Events published by clients, by app.')
  counter('sent', 'sent_frames_total', 'Frames sent to sockets, by app.')
  counter('sentBytes', 'sent_bytes_total', 'Bytes of the frames sent to sockets, by app.')
  counter('received', 'received_frames_total', 'Frames that came from sockets, by app.')
  counter('receivedBytes', 'received_bytes_total', 'Bytes of the frames that came from sockets, by app.')
  new Counter({
    name: 'hubbub_refusals_total',
    help: 'What was refused, by app and reason.',
    labelNames: ['app', 'reason'] as const,
    registers,
    collect() {
      this.reset()
      for (const [app, reasons] of refusals) {
        for (const [reason, times] of reasons) this.inc({ app, reason }, times)
      }
    },
  })

  return (appId) => {
    const known = apps.get(appId)
    if (known) return known
    const reasons = new Map<string, number>()
    const made: AppMetrics = {
      sockets: 0,
      subscriptions: 0,
      published: 0,
      clientEvents: 0,
      sent: 0,
      sentBytes: 0,
      received: 0,
      receivedBytes: 0,
      refused: (reason) => {
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      },
    }
    apps.set(appId, made)
    refusals.set(appId, reasons)
    return made
  }
}
