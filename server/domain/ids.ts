/** Makes public ids. */

import { randomToken } from '../../auth/random.ts'
import { type IdKind, idPrefixes } from '../../schema/ids.ts'

/** Returns a new public id, such as `cnv_…` with 131 random bits. */
export const newId = (kind: IdKind): string => `${idPrefixes[kind]}_${randomToken()}`
