/** JSON Schema of the contracts, as a reader of the document needs it. */

import type { z } from 'zod'

type Override = NonNullable<Parameters<typeof z.toJSONSchema>[1]>['override']

/**
 * Takes out what is noise or no promise: bounds of every number, patterns beside the format that they spell out, what
 * stands in for input that is broken; and that answers never get further fields, which they may.
 */
const tidy: NonNullable<Override> = ({ zodSchema, jsonSchema }) => {
  const { def } = zodSchema._zod
  if (def.type === 'object' && !('catchall' in def && def.catchall)) delete jsonSchema.additionalProperties
  if (def.type === 'record') delete jsonSchema.propertyNames
  if (def.type === 'catch') delete jsonSchema.default
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
}

/** How contracts become JSON Schema. */
export const zodToJsonConfig = { override: tidy }
