/** What of the errors in answers the log tells, and how loudly. */

import { expect, test } from 'vitest'
import { HubbubError } from '../../schema/errors.ts'
import { logFailure } from '../../server/http/errors.ts'
import { createTestLogger } from '../realtime/start-realtime.ts'

test('what failed is an error with its cause, what is off or too much is a warning, and the rest is not told', () => {
  const logger = createTestLogger()
  const cause = new Error('the connection broke')
  const facts = { requestId: 'req_1', url: '/api/v1/conversations' }
  logFailure(logger, new HubbubError('invalid', 'limit: at most 100'), facts)
  logFailure(logger, new HubbubError('unavailable', 'AI is off.'), facts)
  logFailure(
    logger,
    new HubbubError('unavailable', 'The database cannot be reached for now; try again.', { cause }),
    facts,
  )
  logFailure(logger, new HubbubError('internal', 'Something went wrong on our side.', { cause }), {
    line: 'a tool failed',
  })
  expect(logger.lines).toEqual([
    { level: 'warn', message: 'AI is off.', fields: facts },
    { level: 'error', message: expect.stringContaining('database'), fields: { err: cause, ...facts } },
    { level: 'error', message: 'a tool failed', fields: { err: cause } },
  ])
})
