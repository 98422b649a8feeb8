/** Turns whatever went wrong in a request into one HubbubError. */

import type { FastifyError } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { HubbubError } from '../../schema/errors.ts'
import { caps } from '../../schema/muro/conventions.ts'
import { isUnavailable } from '../db/sql.ts'

/** Returns the error to be shown. Its cause, if any, is for the log only. */
export const toHubbubError = (error: unknown): HubbubError => {
  if (error instanceof HubbubError) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [issue] = error.validation
    const param = issue?.instancePath.replace(/^\//, '').replaceAll('/', '.') ?? ''
    return new HubbubError('invalid', `${param || 'body'}: ${issue?.message ?? 'is not valid'}`, param ? { param } : {})
  }
  if (isUnavailable(error)) {
    return new HubbubError('unavailable', 'The database cannot be reached for now; try again.', { cause: error })
  }
  return (
    fastifyErrors[codeOf(error)]?.() ??
    new HubbubError('internal', 'Something went wrong on our side.', { cause: error })
  )
}

/** Writes into the log what went wrong on our side. What is off, or too much for now, has no cause and is no fault. */
export const logFailure = (
  logger: Record<'error' | 'warn', (facts: object, line: string) => void>,
  error: HubbubError,
  { line = error.message, ...facts }: { line?: string; requestId?: string; url?: string } = {},
): void => {
  if (error.status < 500) return
  if (error.code === 'unavailable' && error.cause === undefined) logger.warn(facts, line)
  else logger.error({ err: error.cause ?? error, ...facts }, line)
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

const fastifyErrors: Record<FastifyError['code'], () => HubbubError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new HubbubError('unsupported_media_type', 'Content-Type must be application/json.'),
  FST_ERR_CTP_BODY_TOO_LARGE: () => new HubbubError('too_large', `The body is larger than 1 MiB (${caps.body} bytes).`),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new HubbubError('invalid', 'The body is not as long as Content-Length says.'),
  FST_ERR_BAD_URL: () => new HubbubError('invalid', 'The address has broken percent-encoding.'),
  FST_ERR_MAX_PARAM_LENGTH: () => new HubbubError('not_found', 'Not found.'),
}
