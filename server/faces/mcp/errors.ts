/** Errors of HTTP as the MCP face shows them: an error of JSON-RPC beside the status. */

import { type ErrorCode, errorCodes, type HubbubError } from '../../../schema/errors.ts'
import type { RenderError } from '../../http/app.ts'

/**
 * Shows an error as JSON-RPC does, under the id of its request where that is known. `data` is what the REST API says:
 * its type and code. The number is JSON-RPC's where it has one for this, else the HTTP status: the numbers from -32000
 * down are not for new programs.
 */
export const renderMcpError: RenderError = (error, request) => ({
  jsonrpc: '2.0',
  id: idOf(request?.body),
  error: {
    code: numbers[error.code] ?? error.status,
    message: error.message,
    data: { type: errorCodes[error.code].type, code: error.code },
  },
})

/** Shows an error as the result of a tool: the text that the REST API would answer, and what a model may do about it. */
export const renderToolError = ({ code, message, param, details }: HubbubError): string => {
  const named = {
    ...(param === undefined ? {} : { param }),
    next: next[code] ?? 'Call again once; if it fails again, tell the user.',
  }
  return JSON.stringify({ error: { type: errorCodes[code].type, message, code, ...named, ...details } })
}

const next: Partial<Record<ErrorCode, string>> = {
  invalid: 'Put right what the message names, and call again.',
  forbidden: 'Tell the user that this needs another API key; calling again changes nothing.',
  not_found: 'Take the id from list_conversations, list_contacts or list_sites.',
  conflict: 'Read what is there now, and call again with what fits.',
  idempotency_mismatch: 'Take another idempotency_key, or send exactly what was sent with this one.',
  idempotency_in_progress: 'Wait a second, and call again with the same idempotency_key.',
  newer_messages:
    'Read error.messages; if the reply still fits, send it with the last conversation_seq as expected_seq.',
  unavailable: 'Wait a little, and call again; where the message names a setting, tell the user instead.',
}

export const parseError = -32700
export const invalidRequest = -32600
const internalError = -32603

const numbers: Partial<Record<ErrorCode, number>> = {
  invalid: invalidRequest,
  not_found: invalidRequest,
  method_not_allowed: invalidRequest,
  too_large: invalidRequest,
  unsupported_media_type: invalidRequest,
  internal: internalError,
  unavailable: internalError,
}

/** Returns the id of a message; null where it has none that can be said again. */
export const idOf = (body: unknown): string | number | null => {
  if (typeof body !== 'object' || body === null || !('id' in body)) return null
  return typeof body.id === 'string' || typeof body.id === 'number' ? body.id : null
}
