/** The filters of the list of conversations: by visitor, by who is assigned, by tag. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const makeWorkspace = async (): Promise<{ tenant: Tenant; muro: Client }> => {
  const tenant = await api.makeTenant()
  return { tenant, muro: muroClient(api.url, tenant.apiKey) }
}

const listed = async (muro: Client, query: string) => pageOf(await muro.get(`/conversations?${query}`)).ids

it('the list holds those of one visitor', async () => {
  const { tenant, muro } = await makeWorkspace()
  const { conversation, contact } = await tenant.thread()
  const other = await tenant.thread()
  const second = idOf(await muro.post('/conversations', { visitor_id: contact }))
  expect(await listed(muro, `visitor_id=${contact}`)).toEqual([second, conversation])
  expect(await listed(muro, `visitor_id=${other.contact}`)).toEqual([other.conversation])
})

it('the list holds those of one user, or those of nobody', async () => {
  const { tenant, muro } = await makeWorkspace()
  const [a = '', b = '', c = ''] = [await tenant.thread(), await tenant.thread(), await tenant.thread()].map(
    (thread) => thread.conversation,
  )
  const ada = tenant.agent.user.publicId
  const hired = ['--email', 'grace@example.com', '--name', 'Grace', '--workspace', tenant.workspace.publicId]
  const { id: grace } = JSON.parse((await api.run('user', 'create', ...hired)).stdout)
  await muro.patch(`/conversations/${a}`, { assigned_user_id: ada })
  await muro.patch(`/conversations/${b}`, { assigned_user_id: grace })
  expect(await listed(muro, `assigned_user_id=${ada}`)).toEqual([a])
  expect(await listed(muro, `assigned_user_id=${grace}`)).toEqual([b])
  expect(await listed(muro, 'assigned_user_id=none')).toEqual([c])
  await muro.patch(`/conversations/${a}`, { assigned_user_id: null })
  expect(await listed(muro, `assigned_user_id=${ada}`)).toEqual([])
  expect(await listed(muro, 'assigned_user_id=none')).toEqual([c, a])
})

it('the list holds those with one tag, letter by letter', async () => {
  const { tenant, muro } = await makeWorkspace()
  const [a, b] = [(await tenant.thread()).conversation, (await tenant.thread()).conversation]
  const odd = 'a "b", {c} \\ % 😀'
  await muro.patch(`/conversations/${a}`, { tags: ['vip', odd, 'NULL'] })
  await muro.patch(`/conversations/${b}`, { tags: ['vip', 'billing'] })
  expect(await listed(muro, 'tag=vip')).toEqual([b, a])
  expect(await listed(muro, 'tag=billing')).toEqual([b])
  expect(await listed(muro, 'tag=NULL')).toEqual([a])
  expect(await listed(muro, `tag=${encodeURIComponent(odd)}`)).toEqual([a])
  expect(await listed(muro, 'tag=%20vip%20')).toEqual([b, a])
  for (const tag of ['VIP', 'vi', 'vip,billing', '%25', 'none']) expect(await listed(muro, `tag=${tag}`)).toEqual([])
})

it('the list holds what fits all filters at once', async () => {
  const { tenant, muro } = await makeWorkspace()
  const { conversation, contact } = await tenant.thread()
  const ada = tenant.agent.user.publicId
  await muro.patch(`/conversations/${conversation}`, { tags: ['vip'], assigned_user_id: ada, status: 'snoozed' })
  const all = [`visitor_id=${contact}`, `assigned_user_id=${ada}`, 'tag=vip', 'status=snoozed', 'q=vita']
  expect(await listed(muro, all.join('&'))).toEqual([conversation])
  const { contact: stranger } = await tenant.thread()
  for (const [index, wrong] of [
    `visitor_id=${stranger}`,
    'assigned_user_id=none',
    'tag=other',
    'status=open',
    'q=nobody',
  ].entries()) {
    expect(await listed(muro, all.with(index, wrong).join('&'))).toEqual([])
  }
})

it('the list is empty for whom nobody knows, or who is of another workspace or site', async () => {
  const { tenant, muro } = await makeWorkspace()
  const { conversation, contact } = await tenant.thread()
  await muro.patch(`/conversations/${conversation}`, { assigned_user_id: tenant.agent.user.publicId, tags: ['vip'] })
  const other = await makeWorkspace()
  await other.tenant.thread()
  const pinned = muroClient(api.url, (await tenant.makeKey(await tenant.makeSite())).key)
  const theirs = [`visitor_id=${contact}`, `assigned_user_id=${tenant.agent.user.publicId}`, 'tag=vip']
  for (const query of theirs) {
    expect(await listed(muro, query)).toEqual([conversation])
    expect(await listed(other.muro, query)).toEqual([])
    expect(await listed(pinned, query)).toEqual([])
  }
  for (const query of ['visitor_id=vis_unknown', 'assigned_user_id=usr_unknown', 'tag=unknown']) {
    expect(await listed(muro, query)).toEqual([])
  }
})

it('the list takes no filter that can be none', async () => {
  const { muro } = await makeWorkspace()
  for (const [param, values] of [
    ['visitor_id', ['', 'cnv_abc', 'none', 'vis_a%00', 'vis_a&visitor_id=vis_b']],
    ['assigned_user_id', ['', 'nobody', 'null', 'vis_abc', 'usr_%27']],
    ['tag', ['', '%20', '%00', 'x'.repeat(65), 'a&tag=b']],
  ] as const) {
    for (const value of values) {
      const answer = await muro.get(`/conversations?${param}=${value}`)
      expect([param, value, answer.status]).toEqual([param, value, 400])
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
  }
})

it('the list is walked without a gap or a repetition while rows move, and as rows fit when they are reached', async () => {
  const { tenant, muro } = await makeWorkspace()
  const order: string[] = []
  for (let made = 0; made < 9; made += 1) order.unshift((await tenant.thread()).conversation)
  const fitting = order.filter((_, index) => index % 3 !== 1)
  for (const id of fitting) await muro.patch(`/conversations/${id}`, { tags: ['vip'] })
  const seen: string[] = []
  let cursor: string | null = ''
  for (let turn = 0; cursor !== null; turn += 1) {
    const page = pageOf(await muro.get(`/conversations?tag=vip&limit=1${cursor && `&cursor=${cursor}`}`))
    seen.push(...page.ids)
    cursor = page.cursor
    for (const id of order.slice(0, turn + 2)) {
      await muro.post(`/conversations/${id}/messages`, { content: 'to the front' })
    }
    // The last but one does not fit any more; the last is reached at the place that it had.
    if (turn === 1) await muro.patch(`/conversations/${fitting.at(-2)}`, { tags: [] })
  }
  expect(seen).toEqual(fitting.toSpliced(-2, 1))
})
