/** Which events webhooks are told, and in exactly which words. */

import { describe, expect, it } from 'vitest'
import { type LoggedEvent, toStreamEvent } from '../../schema/events.ts'
import { sampleEvent, toWebhookEvent, webhookBody } from '../../schema/muro/webhook-events.ts'
import { webhookTypes } from '../../schema/muro/webhooks.ts'

const at = '2026-06-07T10:00:00.000Z'

const logged = (type: LoggedEvent['type'], payload: Record<string, unknown>): LoggedEvent => ({
  workspace: 'org_a',
  seq: 7,
  id: 'evt_a',
  type,
  site: 'web_a',
  conversation: type.startsWith('contact') || type.startsWith('webhook') ? null : 'cnv_a',
  conversation_seq: type.startsWith('contact') || type.startsWith('webhook') ? null : 3,
  public_seq: null,
  payload,
})

const message = {
  id: 'msg_a',
  conversation_id: 'cnv_a',
  sender_type: 'visitor',
  sender_id: 'vis_a',
  author: 'Marie',
  content: 'Hi! Is the Pro plan…',
  attachments: [],
  created_at: at,
}

const update = {
  id: 'cnv_a',
  status: 'closed',
  state: 'closed',
  unread_count: 0,
  assigned_user_id: 'usr_a',
  tags: ['billing'],
  priority: null,
  snoozed_until: null,
  last_message_at: at,
  metadata: { secret: 'plan' },
  changed: ['status', 'tags'],
}

const contact = {
  id: 'vis_a',
  website_id: 'web_a',
  name: 'Marie',
  email: 'marie@example.com',
  metadata: { plan: 'PRO' },
  conversation_count: 1,
  changed: ['email'],
}

const bodyOf = (event: LoggedEvent): string | undefined => {
  const told = toWebhookEvent(event)
  return told && webhookBody({ ...event, created_at: at }, told)
}

const envelope = (type: string, data: string) =>
  `{"id":"evt_a","type":"${type}","organization_id":"org_a","created_at":"${at}","data":${data}}`

describe('a webhook is told, word by word,', () => {
  it('of a message: what is documented first and in that order, then what was added', () => {
    expect(bodyOf(logged('message.new', message))).toBe(
      envelope(
        'message.created',
        `{"message":{"id":"msg_a","conversation_id":"cnv_a","sender_type":"visitor","sender_id":"vis_a",` +
          `"content":"Hi! Is the Pro plan…","created_at":"${at}","attachments":[],"seq":7,"conversation_seq":3}}`,
      ),
    )
    const reply = { ...message, sender_type: 'agent', sender_id: null, client_id: 'c1' }
    expect(bodyOf(logged('message.new', reply))).toBe(
      envelope(
        'message.created',
        `{"message":{"id":"msg_a","conversation_id":"cnv_a","sender_type":"agent","sender_id":null,` +
          `"content":"Hi! Is the Pro plan…","created_at":"${at}","attachments":[],"client_id":"c1","seq":7,"conversation_seq":3}}`,
      ),
    )
  })

  it('of a message in the fields in which the sockets tell it, each with the same value', () => {
    for (const payload of [message, { ...message, sender_type: 'agent', sender_id: 'usr_a', client_id: 'c1' }]) {
      const event = logged('message.new', payload)
      const told: unknown = JSON.parse(bodyOf(event) ?? '').data.message
      const { author, event_id, ...heard } = JSON.parse(toStreamEvent(event).staff)
      expect([author, event_id]).toEqual(['Marie', 'evt_a'])
      expect(told).toEqual(heard)
    }
    const note = toStreamEvent(logged('message.new', { ...message, sender_type: 'note' }))
    expect([note.name, JSON.parse(note.staff)]).toMatchObject(['message.new', { sender_type: 'note' }])
  })

  it('of a conversation that opens', () => {
    const payload = { id: 'cnv_a', website_id: 'web_a', visitor_id: 'vis_a', created_at: at }
    expect(bodyOf(logged('conversation.opened', payload))).toBe(
      envelope(
        'conversation.opened',
        `{"conversation":{"id":"cnv_a","website_id":"web_a","visitor_id":"vis_a","created_at":"${at}","seq":7,"conversation_seq":3}}`,
      ),
    )
  })

  it('of a conversation that is closed', () => {
    expect(bodyOf(logged('conversation.update', update))).toBe(
      envelope(
        'conversation.closed',
        `{"conversation":{"id":"cnv_a","status":"closed","tags":["billing"],"unread_count":0,"assigned_user_id":"usr_a",` +
          `"last_message_at":"${at}","seq":7,"conversation_seq":3}}`,
      ),
    )
  })

  it('of a visitor who gives an email, also in the moment in which the contact is made', () => {
    const body = envelope(
      'visitor.identified',
      '{"visitor":{"id":"vis_a","email":"marie@example.com","name":"Marie","seq":7}}',
    )
    expect(bodyOf(logged('contact.update', contact))).toBe(body)
    expect(bodyOf(logged('contact.update', { ...contact, changed: ['created'] }))).toBe(body)
  })

  it('of another webhook that was disabled', () => {
    const payload = { id: 'whk_a', url: 'https://example.com/', reason: 'gone', disabled_at: at }
    expect(bodyOf(logged('webhook.disabled', payload))).toBe(
      envelope(
        'webhook.disabled',
        `{"webhook":{"id":"whk_a","url":"https://example.com/","reason":"gone","disabled_at":"${at}","seq":7}}`,
      ),
    )
  })
})

describe('a webhook is never told', () => {
  it.each([
    ['of a note', logged('message.new', { ...message, sender_type: 'note' })],
    ['of a system line', logged('message.new', { ...message, sender_type: 'system' })],
    ['of what was said in a conversation that has been deleted', logged('message.new', {})],
    ['of an opening that has been deleted', logged('conversation.opened', {})],
    ['of a deletion', logged('conversation.deleted', { id: 'cnv_a' })],
    ['of a contact that was deleted', logged('contact.deleted', { id: 'vis_a' })],
    [
      'of tags on a conversation that is closed already',
      logged('conversation.update', { ...update, changed: ['tags'] }),
    ],
    ['of a conversation that opens again', logged('conversation.update', { ...update, status: 'open' })],
    ['of a conversation that is snoozed', logged('conversation.update', { ...update, status: 'snoozed' })],
    ['of a name', logged('contact.update', { ...contact, changed: ['name'] })],
    ['of an email that is taken away', logged('contact.update', { ...contact, email: null })],
    ['of a new contact without an email', logged('contact.update', { ...contact, email: null, changed: ['created'] })],
  ])('%s', (_, event) => {
    expect(toWebhookEvent(event)).toBeUndefined()
  })
})

it('a sample has the words of the real thing', () => {
  const real: Record<string, LoggedEvent> = {
    'message.created': logged('message.new', message),
    'conversation.opened': logged('conversation.opened', { id: '', website_id: '', visitor_id: '', created_at: at }),
    'conversation.closed': logged('conversation.update', update),
    'visitor.identified': logged('contact.update', contact),
    'webhook.disabled': logged('webhook.disabled', { id: '', url: '', reason: 'gone', disabled_at: at }),
  }
  const wordsOf = (data: Record<string, unknown> = {}) =>
    Object.entries(data).map(([name, facts]) => [name, Object.keys(facts ?? {})])
  for (const type of webhookTypes) {
    const event = real[type]
    expect(wordsOf(sampleEvent(type, at).data)).toEqual(wordsOf(event && toWebhookEvent(event)?.data))
  }
})
