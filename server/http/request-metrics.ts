/** What the REST port counts of its requests, for Prometheus. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { Limiter } from './limiter.ts'

export type RequestMetrics = ReturnType<typeof createRequestMetrics>

/** Upper ends of the histogram, in seconds. After five of them a request is refused, if it does not wait for something. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Makes them, to be shown with the others of the registry. */
export const createRequestMetrics = (registry: Registry) => {
  const registers = [registry]
  const requests = new Counter({
    name: 'hubbub_http_requests_total',
    help: 'Requests to REST by method, route and class of status; gone: the client left before it was answered.',
    labelNames: ['method', 'route', 'status'] as const,
    registers,
  })
  const durations = new Histogram({
    name: 'hubbub_http_request_duration_seconds',
    help: 'How long requests to REST took, by method and route.',
    labelNames: ['method', 'route'] as const,
    buckets,
    registers,
  })
  const limited = new Counter({
    name: 'hubbub_rate_limited_requests_total',
    help: 'Requests that a limit has refused, by whose it is: a key, an address, a visitor of a site.',
    labelNames: ['of'] as const,
    registers,
  })

  return {
    /** Counts a request when its answer has gone, or its client has. */
    watch: ({ method, routeOptions: { url: route = 'none' } }: FastifyRequest, { raw }: FastifyReply): void => {
      const from = performance.now()
      raw.once('close', () => {
        requests.inc({ method, route, status: raw.headersSent ? `${Math.floor(raw.statusCode / 100)}xx` : 'gone' })
        durations.observe({ method, route }, (performance.now() - from) / 1000)
      })
    },
    /** Returns the limiter; what it refuses is counted by the first word of the bucket. */
    countRefusals:
      (limiter: Limiter): Limiter =>
      async (bucket, perMinute) => {
        const allowance = await limiter(bucket, perMinute)
        if (!allowance.allowed) limited.inc({ of: bucket.slice(0, bucket.indexOf(' ')) })
        return allowance
      },
  }
}
