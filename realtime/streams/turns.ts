/** Turns: a few pieces of work at a time, and nobody's next before everybody's first. */

export type Turns = {
  /** Does a piece of work when it is its owner's turn. */
  take<T>(owner: string, work: () => Promise<T>): Promise<T>
}

/** Makes turns of `places` pieces of work at a time. */
export const createTurns = (places: number): Turns => {
  // A Map keeps the order in which owners came; one who was served goes to its end.
  const queues = new Map<string, (() => void)[]>()
  let taken = 0

  const wait = (owner: string): Promise<void> =>
    new Promise((resolve) => {
      const queue = queues.get(owner)
      if (queue) queue.push(resolve)
      else queues.set(owner, [resolve])
    })

  const passOn = (): void => {
    for (const [owner, queue] of queues) {
      queues.delete(owner)
      const begin = queue.shift()
      if (queue.length > 0) queues.set(owner, queue)
      if (!begin) continue
      begin()
      return
    }
    taken -= 1
  }

  return {
    take: async (owner, work) => {
      if (taken < places) taken += 1
      else await wait(owner)
      try {
        return await work()
      } finally {
        passOn()
      }
    },
  }
}
