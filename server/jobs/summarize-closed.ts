/** Summarizes conversations that were closed. */

import type { FastifyBaseLogger } from 'fastify'
import { HubbubError } from '../../schema/errors.ts'
import type { Ai } from '../ai/ai.ts'
import { type DueSummary, giveBack, makeDue, noteClosed, putOff, takeDue } from '../domain/closed-summaries.ts'
import type { Context } from '../domain/context.ts'
import { followLog, skipLog } from '../domain/log-followers.ts'
import { type Job, startLoop } from './loop.ts'

/** How many are made at a time by one process. */
const atOnce = 4

/** When it is looked again, in ms: where there was nothing, where one workspace is busy, and where AI is off. */
const pauses = { idle: 1000, busy: 250, off: 10_000 }

/** Starts the job. What was closed while AI is off is not summarized later. */
export const startSummarizingClosed = ({
  context: { sql },
  ai,
  logger,
}: {
  context: Context
  logger: FastifyBaseLogger
  ai: Ai | undefined
}): Job => {
  const begin = (run: () => Promise<number>) => startLoop('summaries', run, logger)
  if (!ai) {
    const { stop } = begin(async () => {
      await skipLog(sql, 'summaries', sql`true`)
      return pauses.off
    })
    return { poke: ignore, stop }
  }

  const stopping = new AbortController()
  // One busy workspace is read in larger bites than it writes.
  let last: number | undefined
  const follow = async (): Promise<number> => {
    let [noted, pause]: [number, number] = [0, pauses.idle]
    await followLog(sql, 'summaries', async (tx, workspace, events) => {
      noted = await noteClosed(tx, workspace, events)
      pause = workspace.id === last ? pauses.busy : 0
      last = workspace.id
    })
    if (noted > 0) making.poke()
    return pause
  }

  const make = async (): Promise<number> => {
    const due = await takeDue(sql, atOnce)
    await Promise.all(due.map(makeOne))
    return due.length > 0 ? 0 : pauses.idle
  }

  const makeOne = async (due: DueSummary): Promise<void> => {
    try {
      await makeDue(sql, ai, due, stopping.signal)
    } catch (error) {
      if (error instanceof HubbubError && error.code === 'not_found') return
      if (stopping.signal.aborted) return await giveBack(sql, due)
      const seconds = await putOff(sql, due)
      const again = seconds === undefined ? 'it is given up' : `it is tried again in ${seconds / 60} min`
      const err = error instanceof HubbubError ? (error.cause ?? error) : error
      logger.warn({ err, attempts: due.attempts }, `a closed conversation was not summarized; ${again}`)
    }
  }

  const making = begin(make)
  const following = begin(follow)
  return {
    // Nobody waits for it to the second: it looks by itself.
    poke: ignore,
    stop: async () => {
      stopping.abort()
      await Promise.all([following.stop(), making.stop()])
    },
  }
}

const ignore = (): void => undefined
