/** Contracts of the MCP tools: what each takes and what it answers, made of the muro contracts. */

import { z } from 'zod'
import { contact, listContacts } from './muro/contacts.ts'
import { caps, idempotencyKey, listOf } from './muro/conventions.ts'
import { conversation, listConversations, updateConversation } from './muro/conversations.ts'
import { listMessages, message, saysSomething, sendMessage } from './muro/messages.ts'
import { listSites, site, updateSite } from './muro/sites.ts'
import { summary } from './muro/summaries.ts'

const conversationId = z.string().describe('Id of the conversation: cnv_…')

const asked = listConversations.shape
const triage = updateConversation.shape
const sent = sendMessage.shape
const settings = updateSite.shape

const changesSomething = (input: Record<string, unknown>): boolean =>
  Object.values(input).filter((value) => value !== undefined).length > 1

/** What each tool takes. An argument that is not known is refused: a model means something by it. */
export const toolInputs = {
  list_conversations: z.strictObject({
    ...asked,
    status: asked.status.describe('Only those in this status; all where it is left out.'),
    q: asked.q.describe(
      `Text to search for, at most ${caps.q} characters: it occurs in the contact’s name or email, or in what visitors and agents said.`,
    ),
    visitor_id: asked.visitor_id.describe('Only those of this contact: vis_…'),
    assigned_user_id: asked.assigned_user_id.describe('Only those of this user: usr_…; `none`: those of nobody.'),
    tag: asked.tag.describe('Only those with this tag.'),
  }),
  get_conversation: z.strictObject({
    conversation_id: conversationId,
    limit: listMessages.shape.limit.describe('How many messages at most, the newest.'),
    cursor: listMessages.shape.cursor.describe(
      'The `next_cursor` of the answer before, for the messages that are older.',
    ),
  }),
  send_reply: z
    .strictObject({
      conversation_id: conversationId,
      content: sent.content.describe('The text, at most 32 KB. May be left out where there are attachments.'),
      kind: sent.kind.describe('`agent`: a reply that the visitor sees. `note`: an internal note, for the team only.'),
      idempotency_key: idempotencyKey
        .optional()
        .describe(
          'Yours, such as a UUID: a retry with it, within a day, answers the first message and sends no other.',
        ),
      client_id: sent.client_id,
      attachment_ids: sent.attachment_ids.describe('Ids of files that were uploaded over REST: att_…'),
      expected_seq: sent.expected_seq.describe(
        'The conversation_seq of the last message you have read: where there are newer ones, nothing is sent and they are shown.',
      ),
    })
    .refine(...saysSomething),
  update_conversation: z
    .strictObject({
      conversation_id: conversationId,
      ...triage,
      status: triage.status.describe('`closed` ends it, `snoozed` hides it until it wakes, `open` brings it back.'),
      tags: triage.tags.describe(
        `All tags it is to have: they replace those it has. At most ${caps.tags}, of ${caps.tag} characters each.`,
      ),
      assigned_user_id: triage.assigned_user_id.describe('Who is to care for it: usr_…, or null for nobody.'),
      mark_read: triage.mark_read.describe('True: nothing is unread.'),
      mark_unread: triage.mark_unread.describe('True: it is unread again.'),
    })
    .refine(changesSomething, 'must change at least one field')
    .refine(
      ({ mark_read, mark_unread }) => !(mark_read && mark_unread),
      'mark_read and mark_unread exclude each other',
    ),
  summarize_conversation: z.strictObject({ conversation_id: conversationId }),
  list_contacts: z.strictObject({
    ...listContacts.shape,
    website_id: listContacts.shape.website_id.describe('Only those of this site: web_…'),
  }),
  get_contact: z.strictObject({ contact_id: z.string().describe('Id of the contact: vis_…') }),
  list_sites: z.strictObject(listSites.shape),
  update_site: z
    .strictObject({
      site_id: z.string().describe('Id of the site: web_…'),
      name: settings.name,
      color: settings.color.describe('Such as #1a2b3c; null for the standard colour.'),
      position: settings.position.describe('The corner of the page that the widget stands in.'),
      size: settings.size,
      language: settings.language.describe('A language tag such as en or pt-BR.'),
      welcome_message: settings.greeting.describe('What visitors are greeted with; null for none.'),
      auto_reply: settings.auto_reply.describe('What is answered to a visitor’s first message; null for nothing.'),
      agent_name: settings.agent_name.describe(
        'The name under which the widget presents whoever answers; null for none.',
      ),
    })
    .refine(changesSomething, 'must change at least one field'),
}

/** What each tool answers. */
export const toolOutputs = {
  list_conversations: listOf(conversation),
  get_conversation: conversation.extend({
    messages: z.array(message).describe('The newest, the oldest of them first.'),
    has_more: z.boolean().describe('Whether there are older messages.'),
    next_cursor: z.string().nullable().describe('Send it as `cursor` for the older messages; null: there are none.'),
  }),
  send_reply: message,
  update_conversation: conversation,
  summarize_conversation: summary,
  list_contacts: listOf(contact),
  get_contact: contact,
  list_sites: listOf(site),
  update_site: site,
}

const toolSchema = z.looseObject({ type: z.literal('object'), properties: z.record(z.string(), z.json()) })

/** A tool's contract as JSON Schema 2020-12. */
export type ToolSchema = z.infer<typeof toolSchema>

/**
 * Returns a contract as JSON Schema, whole in itself: not every client follows references. It names no dialect, since
 * older clients refuse one that they do not know, and 2020-12 is what is meant then.
 */
export const toolSchemaOf = (contract: z.ZodObject): ToolSchema => {
  const { $schema: _, ...schema } = z.toJSONSchema(contract, {
    io: 'input',
    metadata: new Unnamed(),
    override: ({ jsonSchema }) => {
      // The format says it, and the pattern of a time is longer than the rest of its tool.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern
      // Every key is a text, and not every provider of models knows the word.
      delete jsonSchema.propertyNames
      // Every integer is at most that.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  return toolSchema.parse(schema)
}

/** What is said of the contracts, without the names under which others would refer to them. */
class Unnamed extends z.core.$ZodRegistry<z.core.GlobalMeta> {
  override get(schema: z.core.$ZodType) {
    const { id: _, ...said } = z.globalRegistry.get(schema) ?? {}
    return said
  }
}
