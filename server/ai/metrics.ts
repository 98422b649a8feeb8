/** What a process counts of the AI, for Prometheus. */

import { Histogram, type Registry } from 'prom-client'
import { type AiOutcome, aiOutcomes } from './ai.ts'

/** Up to the half minute after which nobody waits any more. */
const buckets = [0.5, 1, 2.5, 5, 10, 20, 30]

/** Makes what counts the requests to the AI. */
export const createAiMetrics = (registry: Registry): ((outcome: AiOutcome, seconds: number) => void) => {
  const requests = new Histogram({
    name: 'hubbub_ai_request_duration_seconds',
    help: 'How long requests to the AI took, by how they ended.',
    labelNames: ['outcome'] as const,
    buckets,
    registers: [registry],
  })
  // Shown before the first of them, so that it counts as an increase.
  for (const outcome of aiOutcomes) requests.zero({ outcome })
  return (outcome, seconds) => requests.observe({ outcome }, seconds)
}
