/** How the facts of the domain are shown as the contracts say it, whichever face shows them. */

import { shownStatus } from '../ids.ts'
import type { Contact } from './contacts.ts'
import type { Conversation } from './conversations.ts'
import type { SiteShown } from './sites.ts'
import type { Summary } from './summaries.ts'

/** Shows a conversation, whose status its state tells. */
export const presentConversation = <T extends Omit<Conversation, 'object' | 'status'>>({ id, state, ...facts }: T) => ({
  object: 'conversation' as const,
  id,
  status: shownStatus(state),
  state,
  ...facts,
})

/** Shows a message. The name of its author is told on the sockets only. */
export const presentMessage = <T extends { author: unknown }>({ author: _, ...facts }: T) => ({
  object: 'message' as const,
  ...facts,
})

/** Shows a contact. */
export const presentContact = <T extends Omit<Contact, 'object'>>(facts: T) => ({
  object: 'contact' as const,
  ...facts,
})

/** Shows a site. */
export const presentSite = (facts: Omit<SiteShown, 'object'>) => ({ object: 'site' as const, ...facts })

/** Shows a summary. */
export const presentSummary = (facts: Omit<Summary, 'object'>) => ({ object: 'summary' as const, ...facts })
