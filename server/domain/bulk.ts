/** Bulk changes: one action on many conversations, each on its own. */

import { type ErrorCode, HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { BulkUpdate, UpdateConversation } from '../../schema/muro/conversations.ts'
import type { AgentScope, Context } from './context.ts'
import { noConversation } from './conversations.ts'
import { type Claim, type Settled, workOnce } from './idempotency.ts'
import { reachedConversations } from './reach.ts'
import { record } from './record.ts'
import { changeConversation, findAssignee } from './triage.ts'

/** What became of one conversation; `refusal` says why it was left as it is, null: it is as it was asked for. */
export type BulkOutcome = { id: string; refusal: { code: ErrorCode; message: string } | null }

/**
 * Does one action on each conversation that the scope reaches, in a transaction of its own, and returns what became of
 * each, in the order in which they are named. A retry after a failure does what is left: what is done already changes
 * nothing. `onProgress` is called after each: all of it may take longer than one write may.
 */
export const changeConversations = async (
  context: Context,
  scope: AgentScope,
  input: BulkUpdate,
  { claim, onProgress }: { claim: Claim | undefined; onProgress: () => void },
): Promise<Settled<BulkOutcome[]>> => {
  const { answer, replayed } = await workOnce(context.sql, claim, async () => {
    if (input.action === 'assign' && input.assigned_user_id) {
      await findAssignee(context.sql, scope.workspace, input.assigned_user_id)
    }
    const patch = patchOf(input)
    const refusals = new Map<string, HubbubError>()
    const reached = await inOrderOfRows(context, scope, input.ids)
    for (const id of reached) {
      const refusal = await change(context, scope, id, patch)
      if (refusal) refusals.set(id, refusal)
      onProgress()
    }
    const known = new Set(reached)
    return input.ids.map((id) => outcomeOf(id, known.has(id) ? refusals.get(id) : noConversation()))
  })
  return { answer: replayed ? await shownTo(context, scope, answer) : answer, replayed }
}

const patchOf = ({ action, assigned_user_id = null, snoozed_until }: BulkUpdate): UpdateConversation =>
  ({
    close: { status: 'closed' as const },
    open: { status: 'open' as const },
    snooze: { status: 'snoozed' as const, snoozed_until },
    read: { mark_read: true },
    unread: { mark_unread: true },
    assign: { assigned_user_id },
  })[action]

// Everybody who changes many goes through them in the same order, so that two who name the same follow each other.
const inOrderOfRows = async ({ sql }: Context, scope: AgentScope, ids: string[]): Promise<string[]> => {
  const found = await sql<{ id: string }[]>`
    select c.public_id as id from conversations c
     where ${reachedConversations(sql, scope)}
       and c.public_id = any(${ids.filter((id) => isId('conversation', id))}::text[])
     order by c.id`
  return found.map(({ id }) => id)
}

// A refusal is the conversation's; whatever else goes wrong ends the request, which may be sent again.
const change = async (
  context: Context,
  scope: AgentScope,
  id: string,
  patch: UpdateConversation,
): Promise<HubbubError | undefined> => {
  try {
    await record(context, (tx, log) => changeConversation(tx, log, scope, id, patch))
    return undefined
  } catch (error) {
    if (error instanceof HubbubError) return error
    throw error
  }
}

const outcomeOf = (id: string, refusal: HubbubError | undefined): BulkOutcome => ({
  id,
  refusal: refusal ? { code: refusal.code, message: refusal.message } : null,
})

// The key may have been pinned to a site meanwhile: what is elsewhere is not there any more.
const shownTo = async ({ sql }: Context, scope: AgentScope, outcomes: BulkOutcome[]): Promise<BulkOutcome[]> => {
  const { workspace, site } = scope
  if (site === null) return outcomes
  const ids = outcomes.map(({ id }) => id).filter((id) => isId('conversation', id))
  const elsewhere = await sql<{ id: string }[]>`
    select c.public_id as id from conversations c
     where c.workspace_id = ${workspace.id} and c.site_id <> ${site.id} and c.public_id = any(${ids}::text[])`
  const hidden = new Set(elsewhere.map(({ id }) => id))
  return outcomes.map((outcome) => (hidden.has(outcome.id) ? outcomeOf(outcome.id, noConversation()) : outcome))
}
