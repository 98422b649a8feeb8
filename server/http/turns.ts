/** Turns: work that is heavy, a few pieces at a time. */

import { HubbubError } from '../../schema/errors.ts'

/** For so long one waits for a turn, in ms. */
const patience = 30_000

/** Lets so many pieces of work run at a time; the others wait, in order, and not for ever. */
export const createTurns = (count: number) => {
  let free = count
  const waiting = new Set<() => void>()
  const wait = () =>
    new Promise<void>((resolve, reject) => {
      const begin = () => {
        clearTimeout(late)
        resolve()
      }
      const late = setTimeout(() => {
        waiting.delete(begin)
        reject(new HubbubError('unavailable', 'Too much is going on for now; try again.'))
      }, patience)
      waiting.add(begin)
    })
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1
    else await wait()
    try {
      return await work()
    } finally {
      const [next] = waiting
      if (next) {
        waiting.delete(next)
        next()
      } else free += 1
    }
  }
}
