/** What is forgotten by itself after a while. */

export type ShortMemory<T> = {
  set(key: string, value: T): void
  /** Returns what is kept, and for how many ms more. */
  get(key: string): { value: T; left: number } | undefined
  delete(key: string): void
}

/** Makes a memory in which everything lives equally long. */
export const createShortMemory = <T>({ lifetime, now }: { lifetime: number; now: () => number }): ShortMemory<T> => {
  // In the order in which it ends: what is set again goes to the end.
  const kept = new Map<string, { value: T; end: number }>()

  const forget = (): void => {
    for (const [key, { end }] of kept) {
      if (end > now()) return
      kept.delete(key)
    }
  }

  return {
    set: (key, value) => {
      forget()
      kept.delete(key)
      kept.set(key, { value, end: now() + lifetime })
    },
    get: (key) => {
      forget()
      const found = kept.get(key)
      return found && { value: found.value, left: found.end - now() }
    },
    delete: (key) => {
      kept.delete(key)
    },
  }
}
