/** Patience: pauses, and trying again and again, until it works or nobody waits for it any more. */

export type Patience = {
  /** Waits so many ms, or until the end. */
  pause(ms: number): Promise<void>
  /** Returns what the attempt returns once it does not fail; undefined where the end came first. */
  retry<T>(failed: string, attempt: () => Promise<T>): Promise<T | undefined>
  /** Ends every pause, now and from now on. */
  end(): void
}

const longestPause = 2000

/** Makes patience. `first` is the pause after the first failure, in ms; it doubles up to two seconds. */
export const createPatience = ({
  first,
  warn,
}: {
  first: number
  warn: (fields: object, message: string) => void
}): Patience => {
  let ended = false
  let wake: (() => void) | undefined

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (ended) return resolve()
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  return {
    pause,
    retry: async (failed, attempt) => {
      for (let delay = first; !ended; delay = Math.min(delay * 2, longestPause)) {
        try {
          return await attempt()
        } catch (error) {
          if (!ended) warn({ err: error, retry_in_ms: delay }, failed)
        }
        await pause(delay)
      }
      return undefined
    },
    end: () => {
      ended = true
      wake?.()
    },
  }
}
