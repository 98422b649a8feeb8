/** Searching the conversations: by what was said, and by who the visitor is. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
let muro: Client
beforeAll(async () => {
  api = await startApi()
  tenant = await api.makeTenant({ autoReply: 'Thanks, our automatic answer' })
  muro = muroClient(api.url, tenant.apiKey)
})
afterAll(() => api.close())

const search = async (q: string, more = '', client = muro): Promise<string[]> =>
  pageOf(await client.get(`/conversations?q=${encodeURIComponent(q)}${more}`)).ids

let visitors = 0

/** Begins a conversation as a visitor of the site. */
const begin = async (message: string, name = 'Vita', of = tenant): Promise<string> => {
  visitors += 1
  const body = { name, email: `v${visitors}@visitors.example`, message, visitor_token: `v${visitors}` }
  const headers = { 'X-Api-Key': of.site.site_key }
  const begun = await call(api.url, 'POST', '/api/v1/chat/conversations', { headers, body })
  return (begun.body as { conversation_id: string }).conversation_id
}

const say = async (conversation: string, content: string, kind = 'agent') =>
  await muro.post(`/conversations/${conversation}/messages`, { content, kind })

describe('a search', () => {
  it('finds what visitors and agents said, in any message, as a part of a word and in either case', async () => {
    const thread = await begin('My parcel is LOST since Monday')
    await say(thread, 'We look into it')
    await say(thread, 'It was held at the customs office')
    await begin('Something else')
    for (const q of ['parcel', 'PARCEL', 'arce', 'lost since', 'look into', 'customs', 'Customs Off']) {
      expect([q, await search(q)]).toEqual([q, [thread]])
    }
    for (const q of ['parcels', 'lost  since', 'customsoffice', 'since Monday We']) {
      expect([q, await search(q)]).toEqual([q, []])
    }
  })

  it('finds by the name and the address of the contact', async () => {
    const contact = idOf(await muro.post('/contacts', { name: 'Zoë Quimby', email: 'zq-1984@mail.example' }))
    const thread = idOf(await muro.post('/conversations', { visitor_id: contact }))
    for (const q of ['zoë', 'QUIMBY', 'oë qu', 'ZQ-1984', 'zq-1984@mail.example', '-1984@']) {
      expect([q, await search(q)]).toEqual([q, [thread]])
    }
    await muro.patch(`/contacts/${contact}`, { name: 'Zoë Renamed' })
    expect([await search('quimby'), await search('renamed')]).toEqual([[], [thread]])
    // The name and the address are two texts, not one.
    expect(await search('Renamed zq')).toEqual([])
  })

  it('never finds notes, nor lines that the program wrote', async () => {
    const thread = await begin('I have a question about xylophones')
    await say(thread, 'the visitor is a known thespian', 'note')
    expect(await search('xylophone')).toEqual([thread])
    expect(await search('thespian')).toEqual([])
    expect(await search('automatic answer')).toEqual([])
  })

  it('folds the case of every script', async () => {
    const threads = {
      german: await begin('Eine ÜBUNG für Öffentlichkeit'),
      greek: await begin('ΟΔΥΣΣΕΥΣ'),
      russian: await begin('Привет, МИР'),
      turkish: await begin('ÇALIŞMA günü'),
      japanese: await begin('返品したいのですが'),
      emoji: await begin('party 🎉🎉 time'),
    }
    for (const [q, thread] of [
      ['übung', threads.german],
      ['ÖFFENT', threads.german],
      ['οδυσσευς', threads.greek],
      ['οδυσσευσ', threads.greek],
      ['привет', threads.russian],
      ['мир', threads.russian],
      ['ИВЕ', threads.russian],
      ['çalişma', threads.turkish],
      ['返品', threads.japanese],
      ['返', threads.japanese],
      ['🎉🎉', threads.emoji],
    ] as const) {
      expect([q, await search(q)]).toEqual([q, [thread]])
    }
    expect(await search('ubung')).toEqual([])
  })

  it('takes every character as itself', async () => {
    const threads: Record<string, string> = {
      '100%': await begin('I want 100% of it back'),
      under_score: await begin('the file under_score is gone'),
      'C:\\temp': await begin('it is in C:\\temp on my disk'),
      "o'clock": await begin("at five o'clock"),
      '"quoted"': await begin('she said "quoted" twice'),
      '$1 &': await begin('a template $1 & appeared'),
      'a.*b': await begin('the pattern a.*b matches'),
      '--': await begin('well -- yes'),
      ';': await begin('first; second'),
      '\t': await begin('a tab\there'),
      'line\nbreak': await begin('a line\nbreak'),
    }
    for (const [q, thread] of Object.entries(threads)) {
      const found = await search(q)
      if (q === '\t') expect(found.length).toBeGreaterThan(10)
      else expect([q, found]).toEqual([q, [thread]])
    }
    for (const q of ['100_', '1%0', 'under-score', '%score', 'C:\\\\temp', 'C:%', '_', '%', '\\']) {
      const expected = { _: 'under_score', '%': '100%', '\\': 'C:\\temp' }[q]
      expect([q, await search(q)]).toEqual([q, expected === undefined ? [] : [threads[expected]]])
    }
  })

  it('of one or two letters works, and so does one of 128', async () => {
    const long = `${'wörd '.repeat(25)}end`
    const thread = await begin(`before ${long} after qj`)
    expect(await search(long)).toEqual([thread])
    expect(await search('qj')).toEqual([thread])
    expect(await search('Q')).toContain(thread)
    const emojis = '🦊'.repeat(128)
    expect(await search(emojis)).toEqual([])
  })

  it('is trimmed, and one for nothing finds all', async () => {
    const thread = await begin('a needle in here')
    const all = pageOf(await muro.get('/conversations')).ids
    expect(await search('  needle\n')).toEqual([thread])
    expect(await search('')).toEqual(all)
    expect(await search('   ')).toEqual(all)
    expect(await search(' '.repeat(200))).toEqual(all)
  })

  it('that is too long, or no text, is refused', async () => {
    for (const q of ['x'.repeat(129), '🦊'.repeat(129), '%00', 'a%00b', 'a&q=b']) {
      const raw = q.includes('%') || q.includes('&') ? q : encodeURIComponent(q)
      const answer = await muro.get(`/conversations?q=${raw}`)
      expect([q, answer.status, answer.body]).toEqual([q, 400, muroError('invalid_request_error', 'invalid', 'q')])
    }
    // Bytes that are no UTF-8 are no text that anybody said.
    expect((await muro.get('/conversations?q=%ff%fe%fd')).status).toBeLessThan(500)
  })

  it('finds nothing of another workspace', async () => {
    const other = await api.makeTenant()
    const foreign = await begin('the secret handshake', 'Hidden Visitor', other)
    expect(await search('handshake', '', muroClient(api.url, other.apiKey))).toEqual([foreign])
    for (const q of ['handshake', 'hidden visitor', 'ha', 'Hi']) {
      expect(await search(q)).not.toContain(foreign)
    }
  })
})

describe('a search with the rest of the list', () => {
  it('keeps to a status, and a message makes a conversation found at once', async () => {
    const [open, closed, snoozed] = [await begin('ostrich'), await begin('ostrich'), await begin('ostrich')]
    await muro.patch(`/conversations/${closed}`, { status: 'closed' })
    await muro.patch(`/conversations/${snoozed}`, { status: 'snoozed' })
    expect(await search('ostrich', '&status=open')).toEqual([open])
    expect(await search('ostrich', '&status=closed')).toEqual([closed])
    expect(await search('ostrich', '&status=snoozed')).toEqual([snoozed])
    expect(await search('ostrich')).toEqual([snoozed, closed, open])
    const late = await begin('nothing of interest')
    await say(late, 'but an Ostrich came by')
    expect(await search('ostrich', '&status=open')).toEqual([late, open])
  })

  it('goes on page by page, newest activity first, and skips and repeats nothing while rows move', async () => {
    const threads: string[] = []
    for (let number = 0; number < 7; number += 1) {
      threads.unshift(await begin(`walrus ${number}`))
      await begin('no such animal')
    }
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const answer = await muro.get(`/conversations?q=walrus&limit=2${cursor && `&cursor=${cursor}`}`)
      const page = pageOf(answer)
      seen.push(...page.ids)
      cursor = page.cursor
      for (const id of [threads.at(-1), threads[3]]) await say(id ?? '', 'busy')
      await begin('walrus, too late')
    }
    expect(seen).toEqual(threads)
  })

  it('finds a page of what very many match, though not all of them are collected', async () => {
    const crowd = await api.makeTenant()
    const client = muroClient(api.url, crowd.apiKey)
    const first = await crowd.thread()
    const last = await crowd.thread()
    const named = await crowd.thread()
    await client.post(`/conversations/${first.conversation}/messages`, { content: 'Pelican' })
    await client.patch(`/contacts/${named.contact}`, { name: 'Peli Cannes' })
    const { sql } = api.database
    await sql`
      insert into messages (public_id, workspace_id, conversation_id, seq, conversation_seq, sender_type, content, created_at)
      select 'msg_crowd' || n, c.workspace_id, c.id, 0, 10 + n, 'agent', 'a pelican, number ' || n, now()
        from conversations c, generate_series(1, 10100) n where c.public_id = ${last.conversation}`
    for (const q of ['pelican', 'PELICAN', 'li']) {
      const found = await search(q, '', client)
      expect(found).toEqual(expect.arrayContaining([first.conversation, last.conversation]))
      expect(found.includes(named.conversation)).toBe(q === 'li')
      expect(await search(q, '&status=closed', client)).toEqual([])
    }
    expect(await search('number 10100', '', client)).toEqual([last.conversation])
  })
})
