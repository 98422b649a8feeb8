/** Errors as the muro face shows them. */

import { errorCodes } from '../../../schema/errors.ts'
import type { RenderError } from '../../http/app.ts'

/** Shows an error as `{error: {type, message}}`, with `code` and `param` beside. */
export const renderMuroError: RenderError = ({ code, message, param, details }) => ({
  error: { type: errorCodes[code].type, message, code, ...(param === undefined ? {} : { param }), ...details },
})
