/** The one error of the program, and the codes it may carry. */

/** Every code with its HTTP status and the type that the muro face shows for it. */
export const errorCodes = {
  invalid: { status: 400, type: 'invalid_request_error' },
  unauthenticated: { status: 401, type: 'authentication_error' },
  forbidden: { status: 403, type: 'permission_error' },
  not_found: { status: 404, type: 'not_found' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  conflict: { status: 409, type: 'invalid_request_error' },
  idempotency_mismatch: { status: 409, type: 'invalid_request_error' },
  idempotency_in_progress: { status: 409, type: 'invalid_request_error' },
  newer_messages: { status: 409, type: 'invalid_request_error' },
  cursor_expired: { status: 410, type: 'invalid_request_error' },
  too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  unprocessable: { status: 422, type: 'invalid_request_error' },
  rate_limited: { status: 429, type: 'rate_limit_error' },
  internal: { status: 500, type: 'api_error' },
  unavailable: { status: 503, type: 'api_error' },
} as const satisfies Record<string, { status: number; type: string }>

export type ErrorCode = keyof typeof errorCodes

/**
 * Thrown where a fact is known; rendered once, by the face that was asked. `param` names the input at fault; `details`
 * are what the muro face shows beside, such as the messages that somebody has not seen.
 */
export class HubbubError extends Error {
  readonly code: ErrorCode
  readonly param: string | undefined
  readonly details: Record<string, unknown> | undefined

  constructor(
    code: ErrorCode,
    message: string,
    { param, details, cause }: { param?: string; details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'HubbubError'
    this.code = code
    this.param = param
    this.details = details
  }

  get status(): number {
    return errorCodes[this.code].status
  }
}

/** A start or a command that cannot go on: its message is the one line the user sees, and the exit code is 1. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StartError'
  }
}
