/** What operators ask a process: whether it runs, whether it can do its work, and its metrics. */

import { mayReadMetrics } from '../../auth/metrics-access.ts'
import { type Operations, presentHealth } from '../../schema/health.ts'
import type { HttpReply, HttpRequest } from '../transport/transport.ts'
import { json, text } from './replies.ts'

export type Probe = (request: HttpRequest) => HttpReply | Promise<HttpReply>

/** Makes the probes, by path. */
export const createProbes = (operations: Operations): ReadonlyMap<string, Probe> => {
  const readiness = async (): Promise<HttpReply> => {
    const { status, body } = presentHealth(await operations.health())
    return json(status, JSON.stringify(body))
  }

  const metrics = async (request: HttpRequest): Promise<HttpReply> =>
    mayReadMetrics(request, operations.metricsToken)
      ? text(200, await operations.metrics())
      : text(404, 'There is no /metrics here')

  return new Map<string, Probe>([
    ['/up', () => json(200, '{"status":"up"}')],
    ['/ready', readiness],
    ['/metrics', metrics],
  ])
}
