/** Found keys, kept in memory for as long as every change of a key is sure to be heard. */

import { hashSecret } from '../../auth/api-keys.ts'
import type { FoundKey } from './keys.ts'

export type KeyCache = {
  /** Returns the key with that text, from memory or by looking it up. */
  find(text: string): Promise<FoundKey | undefined>
  /** Trusts memory from now on, or no longer; either way what was kept is dropped. */
  trust(heard: boolean): void
  /** Drops what was kept of a key. */
  forget(keyId: string): void
  /** Calls with each key that changes, and with undefined where any may have; returns what ends it. */
  watch(onChange: (keyId: string | undefined) => void): () => void
}

/** Keeps keys that `look` found. Unknown keys are not kept: guesses would fill the memory. */
export const createKeyCache = (look: (text: string) => Promise<FoundKey | undefined>, max = 10_000): KeyCache => {
  const kept = new Map<string, FoundKey>()
  let trusted = false
  let changes = 0
  const watchers = new Set<(keyId: string | undefined) => void>()
  return {
    find: async (text) => {
      const name = hashSecret(text).toString('base64')
      const known = kept.get(name)
      if (known) return known
      const before = changes
      const found = await look(text)
      // A change that was heard during the look-up may be the one that the look-up did not see.
      if (found && trusted && changes === before) {
        if (kept.size >= max) kept.clear()
        kept.set(name, found)
      }
      return found
    },
    trust: (heard) => {
      trusted = heard
      changes += 1
      kept.clear()
      for (const watcher of watchers) watcher(undefined)
    },
    forget: (keyId) => {
      changes += 1
      for (const [name, { scope }] of kept) if (scope.key.publicId === keyId) kept.delete(name)
      for (const watcher of watchers) watcher(keyId)
    },
    watch: (onChange) => {
      watchers.add(onChange)
      return () => watchers.delete(onChange)
    },
  }
}
