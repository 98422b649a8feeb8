/** Runs automation rules on what happens, a moment after it. */

import type { FastifyBaseLogger } from 'fastify'
import type { Context } from '../domain/context.ts'
import { areRulesBehind, passOverRuleless, runRules } from '../domain/rule-runs.ts'
import { type Job, startLoop } from './loop.ts'

// What other processes log is seen at this pace, in ms.
const lookInterval = 250

// What this process logs is waited for a little, so that a busy one looks for many events at once.
const gathering = 20

// Where no rule waits for the log, the place in it has no hurry.
const passOverInterval = 5000

/** Starts the job. */
export const startRunningRules = ({ context, logger }: { context: Context; logger: FastifyBaseLogger }): Job => {
  const { sql } = context
  let stopped = false
  let passedOver = Number.NEGATIVE_INFINITY
  let soon: NodeJS.Timeout | undefined

  const run = async (): Promise<number> => {
    const areBehind = await areRulesBehind(sql)
    if (areBehind || performance.now() - passedOver >= passOverInterval) {
      await passOverRuleless(sql)
      passedOver = performance.now()
    }
    while (areBehind && !stopped && (await runRules(context, logger)));
    return lookInterval
  }
  const job = startLoop('automation rules', run, logger)

  return {
    poke: () => {
      soon ??= setTimeout(() => {
        soon = undefined
        job.poke()
      }, gathering)
    },
    stop: async () => {
      stopped = true
      clearTimeout(soon)
      await job.stop()
    },
  }
}
