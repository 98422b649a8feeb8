/** Waiting, but not for ever. */

/** Resolves when the promise does, or after `ms`, whichever is first; rejects if the promise rejects before that. */
export const within = async (promise: Promise<void>, ms: number): Promise<'done' | 'late'> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, ms, 'late')
  })
  try {
    return await Promise.race([promise.then(() => 'done' as const), late])
  } finally {
    clearTimeout(timer)
  }
}
