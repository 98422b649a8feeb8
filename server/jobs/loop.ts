/** A job that runs again and again: as soon as it is told to, and else when it said it would. */

import type { FastifyBaseLogger } from 'fastify'

export type Job = {
  /** Runs it now, or once more where it is running. */
  poke(): void
  /** Ends it and waits for the run that has begun. */
  stop(): Promise<void>
}

/** A job that fails is tried again after this time, in ms. */
const pause = 1000

/** Starts the job; `run` returns after how many ms it is to run again. */
export const startLoop = (name: string, run: () => Promise<number>, logger: FastifyBaseLogger): Job => {
  let stopped = false
  let running: Promise<void> | undefined
  let poked = false
  let timer: NodeJS.Timeout | undefined

  const once = async (): Promise<void> => {
    poked = false
    const wait = await run().catch((error: unknown) => {
      logger.warn({ err: error, job: name }, 'a job has failed; it is tried again')
      return pause
    })
    running = undefined
    if (stopped) return
    // As a task of its own, also at once: whoever stops it in between is heard.
    timer = setTimeout(begin, poked ? 0 : wait)
  }
  const begin = (): void => {
    clearTimeout(timer)
    if (stopped || running) return
    running = once()
  }
  begin()

  return {
    poke: () => {
      poked = true
      begin()
    },
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
