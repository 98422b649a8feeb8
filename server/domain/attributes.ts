/** Metadata: the free JSON that users hang on conversations and contacts. */

import { isDeepStrictEqual } from 'node:util'
import { HubbubError } from '../../schema/errors.ts'
import { utf8Bytes } from '../../schema/text.ts'

type Metadata = Record<string, unknown>

/** Merges a patch into metadata, one level deep; a key that comes with null is dropped. `max` bytes of JSON may result. */
export const mergeMetadata = (held: Metadata, patch: Metadata, max: number): { merged: Metadata; changed: boolean } => {
  const merged = new Map(Object.entries(held))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, value)
  }
  const result = Object.fromEntries(merged)
  const text = JSON.stringify(result)
  if (utf8Bytes(text) > max) {
    throw new HubbubError('invalid', `metadata: must be at most 16 KB (${max} bytes) after merging`, {
      param: 'metadata',
    })
  }
  // Compared as it will be stored: the database keeps keys in an order of its own, and JSON knows no -0.
  return { merged: result, changed: !isDeepStrictEqual(JSON.parse(text), held) }
}
