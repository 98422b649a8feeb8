/** Deletion: a conversation ends for good, and what the log said of it is blank from then on. */

import { HubbubError } from '../../schema/errors.ts'
import type { AgentScope, Context } from './context.ts'

/** Deletes a conversation with all that belongs to it; for keys of admins only. */
export const deleteConversation = async (_context: Context, _scope: AgentScope, _id: string): Promise<void> => {
  throw new HubbubError('not_found', 'No such conversation.')
}
