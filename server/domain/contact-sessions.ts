/** Contact sessions as staff find them: whose browser holds a token, and which conversation it opens. */

import { hashSecret } from '../../auth/api-keys.ts'
import { HubbubError } from '../../schema/errors.ts'
import type { LookUpContact } from '../../schema/muro/contacts.ts'
import { pinOf } from './contacts.ts'
import type { Context, Reach } from './context.ts'
import { type ContactFacts, contactFacts } from './facts.ts'
import { reachedConversations } from './reach.ts'
import { findSite } from './sites.ts'

/** A contact with the conversation that a token opens. */
export type ContactSession = { contact: ContactFacts; conversation: string }

/** Returns whose token it is, on a site that the scope reaches. */
export const lookUpContact = async (
  { sql }: Context,
  reach: Reach,
  { visitor_token, website_id }: LookUpContact,
): Promise<ContactSession> => {
  const site = await findSite(sql, reach, website_id)
  const [found] = await sql<ContactSession[]>`
    select ${sql.unsafe(contactFacts)} as contact, c.public_id as conversation
      from contact_sessions s
      join conversations c on c.id = s.conversation_id
      join contacts v on v.id = c.contact_id
     cross join ${pinOf(sql, reach)}
     where s.site_id = ${site.id} and s.token_hash = ${hashSecret(visitor_token)} and ${reachedConversations(sql, reach)}`
  if (!found) throw new HubbubError('not_found', 'This token opens no conversation of this site.')
  return found
}
