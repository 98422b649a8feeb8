/** Summaries: what a conversation was about, in a few points, written by the AI. */

import { HubbubError } from '../../schema/errors.ts'
import type { Summary } from '../../schema/muro/summaries.ts'
import type { Ai } from '../ai/ai.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import type { Claim, Settled } from './idempotency.ts'

/** A summary before a face says what it is. */
export type SummaryFacts = Omit<Summary, 'object'>

/** Summarizes a conversation anew and keeps the summary; `unavailable` where AI is off. */
export const summarizeConversation = async (
  _context: Context,
  _scope: AgentScope,
  _ai: Ai | undefined,
  _conversation: string,
  _claim?: Claim,
): Promise<Settled<SummaryFacts>> => {
  throw new HubbubError('unavailable', 'AI is off for this workspace.')
}

/** Returns the summary that is kept; `not_found` where there is none yet. */
export const readSummary = async (_context: Context, _reach: Reach, _conversation: string): Promise<SummaryFacts> => {
  throw new HubbubError('not_found', 'This conversation has no summary yet.')
}
