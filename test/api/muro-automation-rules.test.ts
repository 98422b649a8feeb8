/** Automation rules on the muro face: made, shown in the order in which they run, changed, deleted; and what is refused. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { automationRule } from '../../schema/muro/automation-rules.ts'
import { listOf } from '../../schema/muro/conventions.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
})

const remove = (id: string, key = tenant.apiKey) => call(api.url, 'DELETE', `/api/v1/automation-rules/${id}`, { key })

const rule = {
  name: 'Refunds first',
  trigger: 'message.created',
  conditions: { match: 'all', items: [{ field: 'content', op: 'contains', value: 'refund' }] },
  actions: [
    { type: 'add_tag', value: 'refund' },
    { type: 'reply', text: 'Someone looks into it now.' },
  ],
}
const plain = { name: 'Plain', trigger: 'conversation.opened', actions: [{ type: 'set_status', value: 'snoozed' }] }

const make = async (body: unknown = rule): Promise<string> => {
  const made = await muro.post('/automation-rules', body)
  expect([made.status, made.text]).toEqual([201, expect.any(String)])
  return idOf(made)
}
const shown = async () => pageOf(await muro.get('/automation-rules?limit=100')).ids
const rows = () =>
  api.database.sql`select * from automation_rules where workspace_id = ${tenant.workspace.id} order by id`

describe('a rule', () => {
  it('is made as it is documented, and shown by itself and in the list', async () => {
    const made = await muro.post('/automation-rules', rule)
    expect(made.status).toBe(201)
    expect(made.body).toEqual({
      object: 'automation_rule',
      id: expect.stringMatching(/^rul_[A-Za-z0-9]+$/),
      ...rule,
      active: true,
      position: 0,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(automationRule.parse(made.body)).toEqual(made.body)
    const one = await muro.get(`/automation-rules/${idOf(made)}`)
    expect([one.status, one.text]).toEqual([200, made.text])
    const list = await muro.get('/automation-rules')
    expect(listOf(automationRule).parse(list.body)).toEqual({
      object: 'list',
      data: [made.body],
      has_more: false,
      next_cursor: null,
    })
  })

  it('needs no conditions, and then applies always', async () => {
    const made = await muro.post('/automation-rules', { ...plain, actions: [{ type: 'assign', user_id: null }] })
    expect(made.body).toMatchObject({ conditions: { match: 'all', items: [] } })
    const any = await muro.post('/automation-rules', { ...plain, conditions: { items: [] }, active: false })
    expect(any.body).toMatchObject({ conditions: { match: 'all', items: [] }, active: false })
  })

  it('may name the status that it sets `status`, and is shown as others are', async () => {
    const actions = [{ type: 'set_status', status: 'closed' }]
    const made = await muro.post('/automation-rules', { ...plain, actions })
    expect([made.status, made.body]).toMatchObject([201, { actions: [{ type: 'set_status', value: 'closed' }] }])
    for (const [wrong, param] of [
      [{ type: 'set_status', status: 'gone' }, 'actions.0.value'],
      [{ type: 'set_status', status: 'closed', value: 'closed' }, 'actions.0'],
      [{ type: 'add_tag', status: 'closed' }, 'actions.0.value'],
      [{ type: 'set_status' }, 'actions.0.value'],
    ] as const) {
      const answer = await muro.post('/automation-rules', { ...plain, actions: [wrong] })
      expect([answer.status, answer.body]).toEqual([400, muroError('invalid_request_error', 'invalid', param)])
    }
  })

  it('is changed field by field, and the rest stays', async () => {
    const id = await make()
    const before = (await muro.get(`/automation-rules/${id}`)).body as Record<string, unknown>
    const patches = [
      { name: 'Another name' },
      { trigger: 'conversation.opened' },
      { conditions: { match: 'any', items: [{ field: 'tags', op: 'is_present' }] } },
      { actions: [{ type: 'assign', user_id: tenant.agent.user.publicId }] },
      { active: false },
      { position: 1_000_000 },
      { active: true, position: 0 },
    ]
    let expected = before
    for (const patch of patches) {
      const changed = await muro.patch(`/automation-rules/${id}`, patch)
      expected = { ...expected, ...patch, updated_at: expect.any(String) }
      expect([changed.status, changed.body]).toEqual([200, expected])
      expect((await muro.get(`/automation-rules/${id}`)).text).toBe(changed.text)
      expect(automationRule.safeParse(changed.body).success).toBe(true)
    }
    expect(
      ((await muro.get(`/automation-rules/${id}`)).body as { updated_at: string }).updated_at >
        String(before.updated_at),
    ).toBe(true)
  })

  it('that is told what it is already is not changed', async () => {
    const id = await make()
    const before = await muro.get(`/automation-rules/${id}`)
    const { name, conditions, active } = before.body as Record<string, unknown>
    for (const patch of [{ name, active }, { conditions }, before.body]) {
      expect((await muro.patch(`/automation-rules/${id}`, patch)).text).toBe(before.text)
    }
    const actions = [{ type: 'add_tag', value: 'another' }]
    const { body } = await muro.patch(`/automation-rules/${id}`, { name, actions })
    expect((body as { updated_at: string }).updated_at > (before.body as { updated_at: string }).updated_at).toBe(true)
  })

  it('that many change at once keeps what each has changed', async () => {
    const id = await make()
    const patches = [{ name: 'New' }, { active: false }, { position: 7 }, { trigger: 'conversation.opened' }]
    await Promise.all(patches.map((patch) => muro.patch(`/automation-rules/${id}`, patch)))
    expect((await muro.get(`/automation-rules/${id}`)).body).toMatchObject(Object.assign({}, ...patches))
  })

  it('is deleted, and not there any more', async () => {
    const id = await make()
    const gone = await remove(id)
    expect([gone.status, gone.body]).toEqual([200, { object: 'automation_rule', id, deleted: true }])
    const notFound = [404, muroError('not_found', 'not_found')]
    for (const answer of [
      await remove(id),
      await muro.get(`/automation-rules/${id}`),
      await muro.patch(`/automation-rules/${id}`, { name: 'Back' }),
      await muro.patch(`/automation-rules/${id}`, { actions: [{ type: 'assign', user_id: 'usr_nobody' }] }),
    ])
      expect([answer.status, answer.body]).toEqual(notFound)
    expect(await shown()).toEqual([])
  })

  it('is made once however often an identical request comes', async () => {
    const key = { 'Idempotency-Key': 'rule-1' }
    const answers = await Promise.all([1, 2, 3].map(() => muro.post('/automation-rules', rule, key)))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(answers.filter(({ headers }) => headers.get('Idempotent-Replayed') === 'true')).toHaveLength(2)
    expect(await shown()).toHaveLength(1)
    expect((await muro.post('/automation-rules', { ...rule, name: 'Other' }, key)).status).toBe(409)
  })
})

describe('the list', () => {
  it('is in the order in which rules run: by position, and of two that are equal the older first', async () => {
    const [a, b, c] = [await make(), await make(), await make()]
    const first = await make({ ...rule, position: 0 })
    const late = await make({ ...rule, position: 900 })
    const last = await make()
    expect(await shown()).toEqual([a, first, b, c, late, last])
    await muro.patch(`/automation-rules/${c}`, { position: 0 })
    await muro.patch(`/automation-rules/${a}`, { position: 1_000_000 })
    expect(await shown()).toEqual([c, first, b, late, last, a])
    // There is no position after the last one: what is younger comes after it all the same.
    const younger = await make()
    expect(await shown()).toEqual([c, first, b, late, last, a, younger])
  })

  it('is walked page by page, each rule once', async () => {
    for (let n = 0; n < 7; n += 1) await make({ ...rule, position: n % 3 })
    const all = await shown()
    const walked: string[] = []
    let cursor: string | null = null
    do {
      const page = pageOf(await muro.get(`/automation-rules?limit=2${cursor ? `&cursor=${cursor}` : ''}`))
      walked.push(...page.ids)
      cursor = page.cursor
    } while (cursor)
    expect(walked).toEqual(all)
    expect(all).toHaveLength(7)
  })

  it('refuses a cursor that is not its own', async () => {
    await make()
    await make()
    const { cursor } = pageOf(await muro.get('/automation-rules?limit=1'))
    expect((await muro.get(`/conversations?cursor=${cursor}`)).status).toBe(400)
    const refused = await muro.get('/automation-rules?cursor=garbage')
    expect([refused.status, refused.body]).toEqual([400, muroError('invalid_request_error', 'invalid', 'cursor')])
    for (const limit of ['0', '101', 'x']) {
      expect((await muro.get(`/automation-rules?limit=${limit}`)).body).toMatchObject({ error: { param: 'limit' } })
    }
  })
})

describe('what is wrong is refused, by its name, and nothing is made', () => {
  const condition = { field: 'content', op: 'contains', value: 'x' }
  const items = (...all: unknown[]) => ({ ...rule, conditions: { items: [condition, ...all] } })
  const actions = (...all: unknown[]) => ({ ...rule, actions: [{ type: 'set_status', value: 'open' }, ...all] })
  const wrong: [string, unknown][] = [
    ['name', { ...rule, name: undefined }],
    ['name', { ...rule, name: '  ' }],
    ['name', { ...rule, name: 'x'.repeat(201) }],
    ['trigger', { ...rule, trigger: 'message.new' }],
    ['trigger', { ...rule, trigger: undefined }],
    ['active', { ...rule, active: 'yes' }],
    ['position', { ...rule, position: -1 }],
    ['position', { ...rule, position: 1.5 }],
    ['position', { ...rule, position: 1_000_001 }],
    ['conditions', { ...rule, conditions: null }],
    ['conditions', { ...rule, conditions: [] }],
    ['conditions', { ...rule, conditions: { items: [], all: [] } }],
    ['conditions.match', { ...rule, conditions: { match: 'none', items: [] } }],
    ['conditions.items', { ...rule, conditions: {} }],
    ['conditions.items', { ...rule, conditions: { items: Array(21).fill(condition) } }],
    ['conditions.items.1', items('content contains x')],
    ['conditions.items.1', items({ ...condition, negate: true })],
    ['conditions.items.1.field', items({ ...condition, field: 'subject' })],
    ['conditions.items.1.op', items({ ...condition, op: 'matches' })],
    ['conditions.items.1.op', items({ field: 'content', operator: 'contains', value: 'x' })],
    ['conditions.items.1.value', items({ ...condition, value: undefined })],
    ['conditions.items.1.value', items({ ...condition, value: '' })],
    ['conditions.items.1.value', items({ ...condition, value: 7 })],
    ['conditions.items.1.value', items({ ...condition, value: 'a\0b' })],
    ['conditions.items.1.value', items({ ...condition, value: '\ud800' })],
    ['conditions.items.1.value', items({ ...condition, value: 'x'.repeat(1001) })],
    ['conditions.items.1.value', items({ field: 'content', op: 'is_present', value: 'x' })],
    ['actions', { ...rule, actions: undefined }],
    ['actions', { ...rule, actions: [] }],
    ['actions', { ...rule, actions: Array(11).fill({ type: 'add_tag', value: 'x' }) }],
    ['actions.1', actions('close')],
    ['actions.1', actions({ type: 'add_tag', value: 'x', tag: 'y' })],
    ['actions.1.type', actions({ type: 'send_mail' })],
    ['actions.1.type', actions({})],
    ['actions.1.value', actions({ type: 'add_tag', value: ' ' })],
    ['actions.1.value', actions({ type: 'add_tag', value: 'x'.repeat(65) })],
    ['actions.1.value', actions({ type: 'add_tag' })],
    ['actions.1.value', actions({ type: 'set_status', value: 'pending' })],
    ['actions.1.text', actions({ type: 'reply', text: ' ' })],
    ['actions.1.text', actions({ type: 'reply', text: 'é'.repeat(16 * 1024 + 1) })],
    ['actions.1.user_id', actions({ type: 'assign' })],
    ['actions.1.user_id', actions({ type: 'assign', user_id: 'Ada' })],
    ['actions.1.user_id', actions({ type: 'assign', user_id: 'usr_nobody' })],
  ]
  it('when a rule is made', async () => {
    for (const [param, body] of wrong) {
      const answer = await muro.post('/automation-rules', body)
      expect([param, answer.status, answer.body]).toEqual([
        param,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
    expect((await rows()).length).toBe(0)
  })

  it('when a rule is changed', async () => {
    const id = await make()
    const before = [...(await rows())]
    const required = new Set(['name', 'trigger', 'actions'])
    for (const [param, body] of wrong) {
      const patch = { [param.split('.')[0] ?? '']: (body as Record<string, unknown>)[param.split('.')[0] ?? ''] }
      if (required.has(param) && patch[param] === undefined) continue
      const answer = await muro.patch(`/automation-rules/${id}`, patch)
      expect([param, answer.status, answer.body]).toEqual([
        param,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
    for (const nothing of [{}, { color: 'red' }, [], 'null', '3']) {
      expect((await muro.patch(`/automation-rules/${id}`, nothing)).status).toBe(400)
    }
    expect([...(await rows())]).toEqual(before)
  })

  it('but what is just within the bounds is not', async () => {
    const made = await muro.post('/automation-rules', {
      ...rule,
      name: '😀'.repeat(200),
      conditions: { items: Array(20).fill({ field: 'url', op: 'equals', value: 'x'.repeat(1000) }) },
      actions: [
        ...Array(9).fill({ type: 'add_tag', value: '😀'.repeat(64) }),
        { type: 'reply', text: 'é'.repeat(16 * 1024) },
      ],
      position: 1_000_000,
    })
    expect([made.status, automationRule.safeParse(made.body).success]).toEqual([201, true])
    const empty = { match: 'any', items: [{ field: 'contact.name', op: 'equals', value: '' }] }
    expect((await muro.post('/automation-rules', { ...rule, conditions: empty })).body).toMatchObject({
      conditions: empty,
    })
  })

  it('an assignee of another workspace is none', async () => {
    const stranger = (await api.makeTenant()).agent.user.publicId
    const answer = await muro.post('/automation-rules', {
      ...rule,
      actions: [
        { type: 'assign', user_id: tenant.agent.user.publicId },
        { type: 'assign', user_id: stranger },
      ],
    })
    expect([answer.status, answer.body]).toEqual([
      400,
      muroError('invalid_request_error', 'invalid', 'actions.1.user_id'),
    ])
  })

  it('the 101st rule is one too many, also where many are made at once, until one is deleted', async () => {
    const made = await Promise.all(Array.from({ length: 104 }, () => muro.post('/automation-rules', plain)))
    expect(made.filter(({ status }) => status === 201)).toHaveLength(100)
    const refused = made.filter(({ status }) => status !== 201)
    expect(refused.map(({ status, body }) => [status, body])).toEqual(
      Array(4).fill([409, muroError('invalid_request_error', 'conflict')]),
    )
    const all = await shown()
    expect(all).toHaveLength(100)
    expect((await rows()).map(({ position }) => position)).toEqual(Array.from({ length: 100 }, (_, n) => n))
    await remove(all[50] ?? '')
    await make(plain)
    expect((await muro.post('/automation-rules', plain)).status).toBe(409)
  })
})

describe('P4: rules', () => {
  const attempts = (id: string, key: string): Promise<Answer[]> => {
    const client = muroClient(api.url, key)
    return Promise.all([
      client.get('/automation-rules'),
      client.post('/automation-rules', plain),
      client.post('/automation-rules', {}),
      client.get(`/automation-rules/${id}`),
      client.patch(`/automation-rules/${id}`, { active: false }),
      remove(id, key),
    ])
  }

  it('of another workspace are not there', async () => {
    const id = await make()
    const other = await api.makeTenant()
    expect(pageOf(await muroClient(api.url, other.apiKey).get('/automation-rules')).ids).toEqual([])
    const [, , , ...named] = await attempts(id, other.apiKey)
    for (const answer of named) {
      expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
    }
    expect((await muro.get(`/automation-rules/${id}`)).body).toMatchObject({ active: true })
  })

  it('are of the workspace: a key that is pinned to a site has nothing to do with them', async () => {
    const id = await make()
    const before = [...(await rows())]
    for (const answer of await attempts(id, (await tenant.makeKey(tenant.site)).key)) {
      expect([answer.status, answer.body]).toEqual([403, muroError('permission_error', 'forbidden')])
    }
    expect([...(await rows())]).toEqual(before)
  })

  it('are read with the read scope, and made, changed and deleted with the write scope only', async () => {
    const id = await make()
    const made = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const reader = (JSON.parse(made.stdout) as { key: string }).key
    expect((await attempts(id, reader)).map(({ status }) => status)).toEqual([200, 403, 403, 200, 403, 403])
    expect((await call(api.url, 'GET', '/api/v1/automation-rules')).status).toBe(401)
  })

  it('with an id that is none are not found, and other methods are not served', async () => {
    for (const id of ['rul_unknown', 'cnv_x', '%00', 'x'.repeat(500)]) {
      for (const answer of [await muro.get(`/automation-rules/${id}`), await remove(id)]) {
        expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
      }
    }
    const put = await call(api.url, 'PUT', '/api/v1/automation-rules', { key: tenant.apiKey })
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, OPTIONS'])
  })

  it('are described in the OpenAPI of the API', async () => {
    const { body } = await call(api.url, 'GET', '/api/v1/openapi.json')
    const paths = (body as { paths: Record<string, Record<string, { operationId?: string }>> }).paths
    const operations = ['/api/v1/automation-rules', '/api/v1/automation-rules/{id}'].flatMap((path) =>
      Object.values(paths[path] ?? {}).map(({ operationId }) => operationId),
    )
    expect(operations.sort()).toEqual([
      'createAutomationRule',
      'deleteAutomationRule',
      'getAutomationRule',
      'listAutomationRules',
      'updateAutomationRule',
    ])
  })
})
