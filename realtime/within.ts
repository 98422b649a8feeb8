/** Waiting, but not for ever. */

/** Returns what the promise resolves to, or `late` after `ms`; rejects if the promise rejects before that. */
export const within = async <T>(promise: Promise<T>, ms: number): Promise<T | 'late'> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, ms, 'late')
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Returns what the promise resolves to; rejects where that takes longer than `ms`. */
export const inTime = async <T>(promise: Promise<T>, ms: number): Promise<T> => {
  const answer = await within(promise, ms)
  if (answer === 'late') throw new Error(`no answer within ${ms} ms`)
  return answer
}
