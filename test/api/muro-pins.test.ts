/** P4 for a key that is pinned to a site: what is of another site of its workspace is not there. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

type Place = { conversation: string; contact: string; message: string }

let tenant: Tenant
let here: TestSite
let there: TestSite
/** Reaches the whole workspace. */
let free: Client
/** Is pinned to the site `here`. */
let pinned: Client
let own: Place
let other: Place
/** Someone of the site there who came to the site here too: one contact, with a conversation on each. */
let shared: { contact: string; conversation: string; secret: string }

beforeEach(async () => {
  tenant = await api.makeTenant()
  here = await tenant.makeSite({ name: 'Here' })
  there = await tenant.makeSite({ name: 'SECRET site' })
  free = muroClient(api.url, tenant.apiKey)
  pinned = muroClient(api.url, (await tenant.makeKey(here)).key)
  own = await makePlace(here, 'own words')
  other = await makePlace(there, 'SECRET words')
  await free.patch(`/contacts/${other.contact}`, { name: 'SECRET name', email: 'secret@example.com' })
  shared = await makeShared()
})

const makePlace = async (site: TestSite, content: string): Promise<Place> => {
  const { conversation, contact } = await tenant.thread(site)
  return {
    conversation,
    contact,
    message: idOf(await free.post(`/conversations/${conversation}/messages`, { content })),
  }
}

/** Begins a conversation as a visitor of a site. */
const begin = async (site: TestSite, email: string, message: string): Promise<string> => {
  const body = { name: 'Visitor', email, message, visitor_token: `${email} ${message}` }
  const begun = await call(api.url, 'POST', '/api/v1/chat/conversations', {
    headers: { 'X-Api-Key': site.site_key },
    body,
  })
  return (begun.body as { conversation_id: string }).conversation_id
}

const makeShared = async () => {
  const secret = await begin(there, 'shared@example.com', 'SECRET from there')
  const conversation = await begin(here, 'shared@example.com', 'hello here')
  const { body } = await free.get(`/conversations/${conversation}`)
  return { contact: (body as { visitor: { id: string } }).visitor.id, conversation, secret }
}

/** Asserts that an answer shows nothing of the other site. */
const showsNothing = ({ text, status }: Answer) => {
  expect(status).toBeLessThan(500)
  for (const hidden of [
    there.id,
    other.conversation,
    other.contact,
    other.message,
    shared.secret,
    'SECRET',
    'secret@',
  ]) {
    expect(text).not.toContain(hidden)
  }
}

/** Asserts that a request is refused like one that names what does not exist, and that nothing changes. */
const refused = async (
  send: (id: string) => Promise<Answer>,
  [hidden, unknown]: [string, string],
  [status, type, code, param]: [number, string, string, string?],
) => {
  const before = await api.rowsOf(tenant)
  const answer = await send(hidden)
  expect([answer.status, answer.body]).toEqual([status, muroError(type, code, param)])
  expect(answer.text).toBe((await send(unknown)).text)
  showsNothing(answer)
  expect(await api.rowsOf(tenant)).toEqual(before)
}

const notFound: [number, string, string] = [404, 'not_found', 'not_found']
const invalid = (param: string): [number, string, string, string] => [400, 'invalid_request_error', 'invalid', param]

describe('P4: a key that is pinned to a site', () => {
  it('works on its site as any other key does', async () => {
    expect((await pinned.get(`/conversations/${own.conversation}`)).body).toMatchObject({ website: { id: here.id } })
    expect(
      (await pinned.patch(`/conversations/${own.conversation}`, { status: 'closed', tags: ['x'] })).body,
    ).toMatchObject({ status: 'closed', tags: ['x'] })
    expect((await pinned.post(`/conversations/${own.conversation}/messages`, { content: 'hi' })).status).toBe(201)
    expect((await pinned.post(`/conversations/${own.conversation}/typing`)).status).toBe(200)
    expect(pageOf(await pinned.get(`/conversations/${own.conversation}/messages`)).data).toHaveLength(2)
    expect((await pinned.get(`/contacts/${own.contact}`)).body).toMatchObject({ website_id: here.id })
    expect((await pinned.patch(`/contacts/${own.contact}`, { name: 'New' })).body).toMatchObject({ name: 'New' })
    const made = await pinned.post('/contacts', { name: 'Made', email: 'made@example.com' })
    expect(made.body).toMatchObject({ website_id: here.id })
    expect((await pinned.post('/contacts', { website_id: here.id })).status).toBe(201)
    const opened = await pinned.post('/conversations', { visitor_id: idOf(made), content: 'Hello' })
    expect([opened.status, opened.body]).toEqual([
      201,
      expect.objectContaining({ website: { id: here.id, name: 'Here' } }),
    ])
  })

  it('lists, filters and searches its site only', async () => {
    const threads = [shared.conversation, own.conversation]
    const people = [shared.contact, own.contact]
    const ids = async (path: string) => {
      const answer = await pinned.get(path)
      showsNothing(answer)
      return pageOf(answer).ids
    }
    expect(await ids('/conversations')).toEqual(threads)
    expect(await ids('/conversations?status=open')).toEqual(threads)
    expect(await ids('/conversations?status=closed')).toEqual([])
    for (const q of ['SECRET', 'secret@example.com', 'se', 'words']) {
      expect(await ids(`/conversations?q=${q}`)).toEqual(q === 'words' ? [own.conversation] : [])
    }
    // The address is of a contact who is here as well.
    expect(await ids('/conversations?q=shared@')).toEqual([shared.conversation])
    expect(await ids('/contacts')).toEqual(people)
    expect(await ids(`/contacts?website_id=${here.id}`)).toEqual(people)
    expect(await ids(`/contacts?website_id=${there.id}`)).toEqual([])
    expect(await ids('/contacts?website_id=web_unknown')).toEqual([])
    for (const path of ['/conversations', '/contacts']) {
      const cursor = pageOf(await free.get(`${path}?limit=1`)).cursor
      const seen = await ids(`${path}?limit=100&cursor=${cursor}`)
      expect(seen.every((id) => [...threads, ...people].includes(id))).toBe(true)
      const walked: string[] = []
      for (let at: string | null = ''; at !== null; ) {
        const page = pageOf(await pinned.get(`${path}?limit=1${at && `&cursor=${at}`}`))
        walked.push(...page.ids)
        at = page.cursor
      }
      expect(walked).toEqual(path === '/conversations' ? threads : people)
    }
  })

  it('does not find a conversation of another site, whatever it wants with it', async () => {
    const keyed = { 'Idempotency-Key': 'k' }
    for (const send of [
      (id: string) => pinned.get(`/conversations/${id}`),
      (id: string) => pinned.patch(`/conversations/${id}`, { status: 'closed', mark_unread: true }),
      (id: string) => pinned.get(`/conversations/${id}/messages`),
      (id: string) => pinned.get(`/conversations/${id}/messages?after=${other.message}`),
      (id: string) => pinned.post(`/conversations/${id}/messages`, { content: 'hi' }),
      (id: string) => pinned.post(`/conversations/${id}/messages`, { content: 'hi', kind: 'note', client_id: 'c' }),
      (id: string) => pinned.post(`/conversations/${id}/messages`, { content: 'hi', client_id: 'c' }, keyed),
      (id: string) => pinned.post(`/conversations/${id}/typing`),
      (id: string) => pinned.post(`/conversations/${id}/typing`, {}, keyed),
    ]) {
      await refused(send, [other.conversation, 'cnv_unknown'], notFound)
      await refused(send, [shared.secret, 'cnv_unknown'], notFound)
    }
    await refused(
      (id) => pinned.get(`/conversations/${own.conversation}/messages?after=${id}`),
      [other.message, 'msg_unknown'],
      invalid('after'),
    )
  })

  it('does not find a contact of another site who was never on its own', async () => {
    const people: [string, string] = [other.contact, 'vis_unknown']
    await refused((id) => pinned.get(`/contacts/${id}`), people, notFound)
    await refused((id) => pinned.patch(`/contacts/${id}`, { name: 'Mine' }), people, notFound)
    await refused((id) => pinned.post('/conversations', { visitor_id: id }), people, invalid('visitor_id'))
    await refused(
      (id) => pinned.post('/conversations', { visitor_id: id, content: 'x' }, { 'Idempotency-Key': 'k' }),
      people,
      invalid('visitor_id'),
    )
  })

  it('makes no contact on another site', async () => {
    await refused(
      (website_id) => pinned.post('/contacts', { website_id, name: 'x' }),
      [there.id, 'web_unknown'],
      invalid('website_id'),
    )
  })

  it('sees who came to its site too as one of its own, and opens conversations with them on its site', async () => {
    const contact = await pinned.get(`/contacts/${shared.contact}`)
    expect(contact.body).toMatchObject({ email: 'shared@example.com', website_id: here.id, conversation_count: 1 })
    showsNothing(contact)
    expect((await free.get(`/contacts/${shared.contact}`)).body).toMatchObject({
      website_id: there.id,
      conversation_count: 2,
    })
    const patched = await pinned.patch(`/contacts/${shared.contact}`, { metadata: { seen: true } })
    expect(patched.body).toMatchObject({ website_id: here.id, conversation_count: 1, metadata: { seen: true } })
    showsNothing(patched)
    const opened = await pinned.post('/conversations', { visitor_id: shared.contact })
    expect(opened.body).toMatchObject({ website: { id: here.id } })
    showsNothing(opened)
    const openedByAll = await free.post('/conversations', { visitor_id: shared.contact })
    expect(openedByAll.body).toMatchObject({ website: { id: there.id } })
    expect((await pinned.get(`/conversations/${idOf(openedByAll)}`)).status).toBe(404)
  })

  it('is told that an address is taken, but not by whom, unless it may see them', async () => {
    const conflict = muroError('invalid_request_error', 'conflict', 'email')
    for (const send of [
      () => pinned.post('/contacts', { email: 'secret@example.com' }),
      () => pinned.patch(`/contacts/${own.contact}`, { email: 'secret@example.com' }),
    ]) {
      const answer = await send()
      expect([answer.status, answer.body]).toEqual([409, conflict])
      expect(answer.text).not.toContain(other.contact)
    }
    const known = await pinned.post('/contacts', { email: 'shared@example.com' })
    expect(known.text).toContain(shared.contact)
    expect((await free.post('/contacts', { email: 'secret@example.com' })).text).toContain(other.contact)
  })
})

describe('P4: a key that is pinned while it is in use', () => {
  const pin = async (id: string, site: TestSite) => {
    const { stdout } = await api.run('key', 'pin', id, '--site', site.id)
    expect(JSON.parse(stdout)).toEqual({ id, site_id: site.id })
  }

  it('opens the rest no longer from the moment the command ends', async () => {
    const { id, key } = await tenant.makeKey()
    const client = muroClient(api.url, key)
    expect((await client.get(`/conversations/${other.conversation}`)).status).toBe(200)
    await pin(id, here)
    expect((await client.get(`/conversations/${other.conversation}`)).status).toBe(404)
    expect((await client.get(`/conversations/${own.conversation}`)).status).toBe(200)
    await pin(id, there)
    expect((await client.get(`/conversations/${other.conversation}`)).status).toBe(200)
    expect((await client.get(`/conversations/${own.conversation}`)).status).toBe(404)
  })

  it('is answered what it did before only where that was on its site; elsewhere nothing is shown or done again', async () => {
    const { id, key } = await tenant.makeKey()
    const client = muroClient(api.url, key)
    const keyed = { 'Idempotency-Key': 'once' }
    const retries = (site: TestSite, { conversation, contact }: Place) => [
      () => client.post(`/conversations/${conversation}/messages`, { content: 'SECRET' }, keyed),
      () => client.post(`/conversations/${conversation}/messages`, { content: 'SECRET', client_id: 'c' }),
      () => client.post(`/conversations/${conversation}/typing`, {}, keyed),
      () => client.post('/contacts', { website_id: site.id, name: 'SECRET' }, { 'Idempotency-Key': site.id }),
      () => client.post('/conversations', { visitor_id: contact, content: 'SECRET' }, { 'Idempotency-Key': site.id }),
    ]
    const visible = { ...other, contact: shared.contact }
    const [ours, theirs] = [retries(here, own), retries(there, visible)]
    const first: string[] = []
    for (const send of [...ours, ...theirs]) first.push((await send()).text)
    await pin(id, here)
    const before = await api.rowsOf(tenant)
    for (const [index, send] of ours.entries()) {
      const answer = await send()
      expect(answer.text).toBe(first[index])
      expect(answer.headers.get('idempotent-replayed')).toBe('true')
    }
    for (const send of theirs) {
      const answer = await send()
      expect([answer.status, answer.body]).toEqual([404, muroError(...(notFound.slice(1) as [string, string]))])
      showsNothing(answer)
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })
})

it('P4: a pinned key that tries everything in any order is never shown anything of another site', async () => {
  const pick = <T>(of: readonly T[]): T => {
    const picked = of[Math.floor(Math.random() * of.length)]
    if (picked === undefined) throw new Error('nothing to pick')
    return picked
  }
  const cursors: string[] = []
  for (const path of [
    '/conversations?limit=1',
    '/contacts?limit=1',
    `/conversations/${own.conversation}/messages?limit=1`,
  ]) {
    await free.post(`/conversations/${own.conversation}/messages`, { content: 'more' })
    cursors.push(pageOf(await free.get(path)).cursor ?? '')
  }
  const thread = () => pick([own.conversation, other.conversation, shared.conversation, shared.secret, 'cnv_x'])
  const person = () => pick([own.contact, other.contact, shared.contact, 'vis_x'])
  const site = () => pick([here.id, there.id, 'web_x'])
  const query = () =>
    pick(['', `?cursor=${pick(cursors)}`, '?q=e', '?q=SECRET', '?status=open&limit=100', `?website_id=${site()}`])
  const headers = (): Record<string, string> => pick([{}, { 'Idempotency-Key': `k${pick([1, 2, 3])}` }])
  const requests: (() => Promise<Answer>)[] = [
    () => pinned.get(`/conversations${query()}`),
    () => pinned.get(`/contacts${query()}`),
    () => pinned.get(`/conversations/${thread()}`),
    () =>
      pinned.get(`/conversations/${thread()}/messages${pick(['', `?after=${pick([own.message, other.message])}`])}`),
    () => pinned.get(`/contacts/${person()}`),
    () => pinned.get('/realtime'),
    () => pinned.post('/conversations', { visitor_id: person(), ...pick([{}, { content: 'opened' }]) }, headers()),
    () => pinned.post('/contacts', pick([{ website_id: site() }, { email: 'secret@example.com' }, {}]), headers()),
    () =>
      pinned.patch(`/conversations/${thread()}`, pick([{ status: 'closed' }, { mark_unread: true }, { tags: ['t'] }])),
    () => pinned.patch(`/contacts/${person()}`, pick([{ name: 'n' }, { email: 'secret@example.com' }])),
    () =>
      pinned.post(`/conversations/${thread()}/messages`, { content: 'said', client_id: pick(['a', 'b']) }, headers()),
    () => pinned.post(`/conversations/${thread()}/typing`, {}, headers()),
    () =>
      pinned.post('/realtime/auth', {
        socket_id: '1.2',
        channel_name: pick([`private-site-${here.id}`, `private-conv-${own.conversation}`, 'private-org-org_x']),
      }),
  ]
  const before = await api.database.sql`
    select (select json_agg(c order by id) from conversations c where site_id = ${there.ref.id}) as conversations,
           (select json_agg(m order by m.id) from messages m join conversations c on c.id = m.conversation_id
             where c.site_id = ${there.ref.id}) as messages,
           (select json_agg(v order by v.id) from contacts v where public_id = ${other.contact}) as contacts`
  const answered = new Set<number>()
  for (let turn = 0; turn < 400; turn += 1) {
    const answer = await pick(requests)()
    answered.add(answer.status)
    showsNothing(answer)
  }
  expect([...answered].sort()).toEqual([200, 201, 400, 403, 404, 409])
  const after = await api.database.sql`
    select (select json_agg(c order by id) from conversations c where site_id = ${there.ref.id}) as conversations,
           (select json_agg(m order by m.id) from messages m join conversations c on c.id = m.conversation_id
             where c.site_id = ${there.ref.id}) as messages,
           (select json_agg(v order by v.id) from contacts v where public_id = ${other.contact}) as contacts`
  expect(after).toEqual(before)
})
