/** The events of the chat: a row of the log, what staff and visitor hear of it, and its form on the bus. */

import { z } from 'zod'
import { convChannel, orgChannel, siteChannel, visitorChannel } from './channels.ts'
import { siteFilesOf } from './site-chat.ts'

/** Names of the events on the sockets; all but `agent.typing` are rows of the log. */
export const loggedEventTypes = [
  'conversation.opened',
  'message.new',
  'conversation.update',
  'contact.update',
  'conversation.deleted',
  'contact.deleted',
  'user.update',
  'webhook.disabled',
] as const

export type LoggedEventType = (typeof loggedEventTypes)[number]

/**
 * A row of a workspace's log. `payload` is what staff hear, without the numbers. `site` is the conversation's or the
 * contact's. `conversation_seq` is null for events of no conversation; `public_seq` is null where the visitor hears
 * nothing.
 */
export type LoggedEvent = {
  workspace: string
  seq: number
  id: string
  type: LoggedEventType
  site: string | null
  conversation: string | null
  conversation_seq: number | null
  public_seq: number | null
  payload: Record<string, unknown>
}

/**
 * An event on its way to the sockets: `staff` and `visitor` are JSON texts of the frames' data.
 * `seq` is null for an event that is not logged, `publicSeq` for one that the visitor does not count.
 */
export type StreamEvent = {
  workspace: string
  seq: number | null
  name: string
  site: string | null
  conversation: string | null
  publicSeq: number | null
  staff: string
  visitor: string | null
}

/** Returns whether an event tells that something was erased: what the log had told of it until then is blank. */
export const isErasure = ({ name }: StreamEvent): boolean =>
  name === 'conversation.deleted' || name === 'contact.deleted'

/** What an event says on a channel. */
export type Telling = { channel: string; data: string }

/** Returns what an event says on which channels; live and replayed frames both come from here. */
export const tellingsOf = ({ workspace, site, conversation, staff, visitor }: StreamEvent): Telling[] => {
  const tellings = [{ channel: orgChannel(workspace), data: staff }]
  if (site !== null) tellings.push({ channel: siteChannel(site), data: staff })
  if (conversation === null) return tellings
  tellings.push({ channel: convChannel(conversation), data: staff })
  if (visitor !== null) tellings.push({ channel: visitorChannel(conversation), data: visitor })
  return tellings
}

/** How long an `agent.typing` may be shown, in ms. */
export const typingExpiresIn = 6000

/** Returns what staff hear of a logged event, on the sockets and by sync. */
export const staffData = ({ id, seq, conversation_seq, payload }: LoggedEvent): Record<string, unknown> => ({
  ...payload,
  event_id: id,
  seq,
  ...(conversation_seq === null ? {} : { conversation_seq }),
})

/** Returns a logged event as the sockets hear it; live and replayed events both come through here. */
export const toStreamEvent = (event: LoggedEvent): StreamEvent => {
  const { workspace, seq, type, site, conversation, public_seq } = event
  return {
    workspace,
    seq,
    name: type,
    site,
    conversation,
    publicSeq: public_seq,
    staff: JSON.stringify(staffData(event)),
    visitor: visitorData(event),
  }
}

/** Returns an agent's typing as the sockets hear it. Typing on a note is never told to the visitor. */
export const typingEvent = (typing: {
  workspace: string
  site: string
  conversation: string
  user: { id: string; name: string } | null
  isPrivate: boolean
}): StreamEvent => {
  const { workspace, site, conversation, user, isPrivate } = typing
  const told = { conversation_id: conversation, expires_in_ms: typingExpiresIn }
  return {
    workspace,
    seq: null,
    name: 'agent.typing',
    site,
    conversation,
    publicSeq: null,
    staff: JSON.stringify({
      conversation_id: conversation,
      user,
      is_private: isPrivate,
      expires_in_ms: typingExpiresIn,
    }),
    visitor: isPrivate ? null : JSON.stringify(told),
  }
}

/** Writes an event for the bus: a line of header, a line of staff's data, a line of the visitor's (empty: none). */
export const encodeStreamEvent = (event: StreamEvent): string => {
  const { workspace, seq, name, site, conversation, publicSeq, staff, visitor } = event
  const header = `${workspace} ${seq ?? '-'} ${name} ${site ?? '-'} ${conversation ?? '-'} ${publicSeq ?? '-'}`
  return `${header}\n${staff}\n${visitor ?? ''}`
}

/** Reads an event from the bus; undefined if it is not one. Does no JSON work. */
export const decodeStreamEvent = (message: string): StreamEvent | undefined => {
  const [header = '', staff, visitor] = message.split('\n')
  const [workspace, seq, name, site, conversation, publicSeq] = header.split(' ')
  if (!workspace || !seq || !name || !site || !conversation || !publicSeq) return undefined
  if (staff === undefined || visitor === undefined) return undefined
  const numbers = { seq: readNumber(seq), publicSeq: readNumber(publicSeq) }
  if (numbers.seq === undefined || numbers.publicSeq === undefined) return undefined
  return {
    workspace,
    seq: numbers.seq,
    name,
    site: site === '-' ? null : site,
    conversation: conversation === '-' ? null : conversation,
    publicSeq: numbers.publicSeq,
    staff,
    visitor: visitor === '' ? null : visitor,
  }
}

const readNumber = (text: string): number | null | undefined => {
  if (text === '-') return null
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : undefined
}

const messagePayload = z.object({
  id: z.string(),
  conversation_id: z.string(),
  sender_type: z.string(),
  author: z.string().nullable(),
  content: z.string(),
  attachments: z.array(z.object({ filename: z.string(), content_type: z.string(), size: z.number() })),
  created_at: z.string(),
})

const updatePayload = z.object({ id: z.string(), status: z.string() })

const deletedPayload = z.object({ id: z.string() })

// Parsing by contract also drops every field that is not named here: what is new for staff stays unheard by visitors.
const visitorData = ({ type, conversation_seq, public_seq, payload }: LoggedEvent): string | null => {
  if (public_seq === null) return null
  if (type === 'message.new') {
    const message = messagePayload.parse(payload)
    const attachments = siteFilesOf(conversation_seq ?? 0, message.attachments)
    return JSON.stringify({ ...message, attachments, seq: public_seq })
  }
  if (type === 'conversation.update') return JSON.stringify({ ...updatePayload.parse(payload), seq: public_seq })
  if (type === 'conversation.deleted') return JSON.stringify({ ...deletedPayload.parse(payload), seq: public_seq })
  return null
}
