/** Wakes conversations that were snoozed until now: by a timer to the next one, set anew when an earlier one is heard of. */

import type { FastifyBaseLogger } from 'fastify'
import { listen } from '../db/listen.ts'
import type { Context } from '../domain/context.ts'
import { nextWaking, wakeNext } from '../domain/snoozes.ts'
import { snoozeNotices } from '../domain/triage.ts'
import { type Job, startLoop } from './loop.ts'

/** What is not heard of, because the connection that listens was lost, is seen by looking this often, in ms. */
const lookInterval = 5000

/** How soon one that is due is tried again where it was being changed, in ms. */
const retryInterval = 50

// Many may be due at once, at nine o'clock say: so many are woken side by side, and so many by each before whoever
// stops the job is heard.
const lanes = 4
const laneLength = 25

/** Starts the job. Any number of processes may run it: each conversation is woken by one of them. */
export const startWakingSnoozed = ({
  context,
  url,
  logger,
}: {
  context: Context
  url: string
  logger: FastifyBaseLogger
}): Job => {
  const loop = startLoop('waking snoozed conversations', () => wakeDue(context), logger)
  const notices = listen(url, snoozeNotices, {
    onNotice: loop.poke,
    onState: (listening) => {
      if (listening) loop.poke()
    },
  })
  return {
    poke: loop.poke,
    stop: async () => {
      await Promise.all([notices.close(), loop.stop()])
    },
  }
}

/** Wakes what is due and returns after how many ms to look again. */
const wakeDue = async (context: Context): Promise<number> => {
  if (await wakeNext(context)) {
    const areMore = await Promise.all(Array.from({ length: lanes }, () => wakeSome(context)))
    if (areMore.includes(true)) return 0
  }
  const next = await nextWaking(context.sql)
  if (next === null) return lookInterval
  return next > 0 ? Math.min(next, lookInterval) : retryInterval
}

/** Wakes as many as a lane may; returns whether there may be more. */
const wakeSome = async (context: Context): Promise<boolean> => {
  for (let woken = 0; woken < laneLength; woken += 1) {
    if (!(await wakeNext(context))) return false
  }
  return true
}
