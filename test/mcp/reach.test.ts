/** Which tools a key is shown, and what it reaches with them. */

import Ajv2020 from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { KeyScope } from '../../schema/ids.ts'
import { createKey } from '../../server/domain/keys.ts'
import { type Api, startApi } from '../support/api.ts'
import { idOf, muroClient } from '../support/http.ts'
import type { Tenant, Thread } from '../support/tenant.ts'
import { type Mcp, mcpOf, modern } from './mcp.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let mcp: Mcp
let thread: Thread
beforeEach(async () => {
  tenant = await api.makeTenant()
  mcp = mcpOf(api.url, tenant.apiKey)
  thread = await tenant.thread()
})

/** Speaks with a key of those scopes. */
const withScopes = async (...scopes: KeyScope[]): Promise<Mcp> => {
  const wanted = { userRowId: tenant.adminRowId, scopes }
  return mcpOf(api.url, (await createKey(api.database.sql, tenant.workspace, wanted)).key)
}

const listed = z.object({
  tools: z.array(
    z.looseObject({
      name: z.string(),
      title: z.string().min(1),
      description: z.string().min(40),
      inputSchema: z.looseObject({ type: z.literal('object'), properties: z.record(z.string(), z.object({})) }),
      outputSchema: z.looseObject({ type: z.literal('object'), properties: z.record(z.string(), z.unknown()) }),
      annotations: z.looseObject({ readOnlyHint: z.boolean() }),
    }),
  ),
})

const toolsOf = async (from: Mcp) => {
  const { body } = await from.request('tools/list')
  return listed.parse(z.object({ result: z.unknown() }).parse(body).result).tools
}

const namesOf = async (from: Mcp) => (await toolsOf(from)).map(({ name }) => name)

const readers = ['list_conversations', 'get_conversation', 'list_contacts', 'get_contact', 'list_sites']
const writers = ['send_reply', 'update_conversation', 'summarize_conversation', 'update_site']

describe('the list of tools', () => {
  it('is always in the same order, and the same for every revision', async () => {
    const names = await namesOf(mcp)
    expect([...names].sort()).toEqual([...readers, ...writers].sort())
    for (let time = 0; time < 3; time += 1) expect(await namesOf(mcp)).toEqual(names)
    const { body, headers } = modern('tools/list')
    const answer = await mcp.send(body, headers)
    expect(answer.body).toMatchObject({ result: { tools: names.map((name) => ({ name })), resultType: 'complete' } })
  })

  it('may be kept for a while, by this client only', async () => {
    const { body, headers } = modern('tools/list')
    const { result } = z.object({ result: z.looseObject({}) }).parse((await mcp.send(body, headers)).body)
    expect(result).toMatchObject({ ttlMs: 300_000, cacheScope: 'private' })
    expect(result).not.toHaveProperty('nextCursor')
  })

  it('says which tools only read, and that none destroys', async () => {
    for (const { name, annotations } of await toolsOf(mcp)) {
      if (readers.includes(name)) expect(annotations).toMatchObject({ readOnlyHint: true, openWorldHint: false })
      else expect(annotations).toMatchObject({ readOnlyHint: false, destructiveHint: false })
      if (name.startsWith('update_')) expect(annotations).toMatchObject({ idempotentHint: true })
      if (name === 'send_reply') expect(annotations).toMatchObject({ idempotentHint: false })
    }
  })

  it('has schemas that stand for themselves: no reference, no dialect that an older client does not know', async () => {
    const ajv = formats.default(new Ajv2020.default({ strict: true, strictTypes: false }))
    for (const { inputSchema, outputSchema } of await toolsOf(mcp)) {
      expect(JSON.stringify([inputSchema, outputSchema])).not.toMatch(/"(\$(ref|defs|schema|id)|propertyNames)"/)
      expect(inputSchema.additionalProperties).toBe(false)
      ajv.compile(inputSchema)
      ajv.compile(outputSchema)
    }
  })

  it('promises what is answered: each answer fits the schema of its tool, whole', async () => {
    const ajv = formats.default(new Ajv2020.default({ strict: false }))
    const promised = new Map((await toolsOf(mcp)).map(({ name, outputSchema }) => [name, outputSchema]))
    const conversation_id = thread.conversation
    await mcp.tool('send_reply', { conversation_id, content: 'Hello' })
    const calls: Record<string, Record<string, unknown>> = {
      list_conversations: {},
      get_conversation: { conversation_id },
      send_reply: { conversation_id, content: 'psst', kind: 'note', client_id: 'c-1' },
      update_conversation: { conversation_id, status: 'snoozed', snoozed_until: '2099-01-01T00:00:00Z' },
      list_contacts: {},
      get_contact: { contact_id: thread.contact },
      list_sites: {},
      update_site: { site_id: tenant.site.id, welcome_message: null },
    }
    expect([...promised.keys()].filter((name) => !(name in calls))).toEqual(['summarize_conversation'])
    for (const [name, args] of Object.entries(calls)) {
      const fits = ajv.compile(promised.get(name) ?? false)
      const answer = await mcp.tool(name, args)
      expect([name, fits(answer), fits.errors]).toEqual([name, true, null])
      expect(Object.keys(answer).sort()).toEqual(Object.keys(promised.get(name)?.properties ?? {}).sort())
    }
  })

  it('has for a key what its scopes allow, and no more', async () => {
    expect((await namesOf(await withScopes('read'))).sort()).toEqual([...readers].sort())
    expect((await namesOf(await withScopes('write'))).sort()).toEqual([...writers].sort())
  })
})

describe('a key without the scope', () => {
  const forbidden = {
    error: {
      type: 'permission_error',
      code: 'forbidden',
      message: expect.stringContaining('scope'),
      next: expect.stringContaining('another API key'),
    },
  }

  it('is told so by the tool, and nothing happens', async () => {
    const reader = await withScopes('read')
    const before = await api.rowsOf(tenant)
    const conversation_id = thread.conversation
    expect(await reader.ask('send_reply', { conversation_id, content: 'hi' })).toEqual(forbidden)
    expect(await reader.ask('update_conversation', { conversation_id, status: 'closed' })).toEqual(forbidden)
    expect(await reader.ask('summarize_conversation', { conversation_id })).toEqual(forbidden)
    expect(await reader.ask('update_site', { site_id: tenant.site.id, color: '#000000' })).toEqual(forbidden)
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect(await reader.tool('get_conversation', { conversation_id })).toMatchObject({ id: conversation_id })
  })

  it('does not read with write alone', async () => {
    const writer = await withScopes('write')
    for (const name of readers) {
      expect(await writer.ask(name, name.startsWith('get_') ? { id: 'x' } : {})).toEqual(forbidden)
    }
    expect(await writer.tool('send_reply', { id: thread.conversation, content: 'hi' })).toMatchObject({ content: 'hi' })
  })
})

describe('what is not within reach', () => {
  const notFound = {
    error: { type: 'not_found', code: 'not_found', next: expect.stringContaining('Take the id from') },
  }

  const expectUnreached = async (from: Mcp, { conversation, contact }: Thread, site: string) => {
    expect(await from.ask('get_conversation', { id: conversation })).toMatchObject(notFound)
    expect(await from.ask('send_reply', { id: conversation, content: 'hi' })).toMatchObject(notFound)
    expect(await from.ask('update_conversation', { id: conversation, status: 'closed' })).toMatchObject(notFound)
    expect(await from.ask('get_contact', { id: contact })).toMatchObject(notFound)
    expect(await from.ask('update_site', { id: site, color: '#000000' })).toMatchObject(notFound)
    for (const list of ['list_conversations', 'list_contacts', 'list_sites']) {
      const text = JSON.stringify(await from.tool(list))
      for (const id of [conversation, contact, site]) expect(text).not.toContain(id)
    }
  }

  it('of another workspace is not found, and stays as it is', async () => {
    const other = await api.makeTenant()
    const before = await api.rowsOf(tenant)
    await expectUnreached(mcpOf(api.url, other.apiKey), thread, tenant.site.id)
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('of another site is not found by a key that is pinned', async () => {
    const here = await tenant.makeSite()
    const own = await tenant.thread(here)
    const pinned = mcpOf(api.url, (await tenant.makeKey(here)).key)
    const before = await api.rowsOf(tenant)
    await expectUnreached(pinned, thread, tenant.site.id)
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect(await pinned.tool('list_conversations')).toMatchObject({ data: [{ id: own.conversation }] })
    expect(await pinned.tool('list_contacts')).toMatchObject({ data: [{ id: own.contact }] })
    const sent = await pinned.tool('send_reply', { id: own.conversation, content: 'hi' })
    expect(sent).toMatchObject({ conversation_id: own.conversation })
  })

  it('is what no id names, also one that could not be an id', async () => {
    for (const id of ['cnv_unknown', 'vis_x', 'nope', '', "'; drop table x --", 'cnv_é', '__proto__']) {
      expect(await mcp.ask('get_conversation', { id })).toMatchObject(notFound)
      expect(await mcp.ask('send_reply', { id, content: 'hi' })).toMatchObject(notFound)
      expect(await mcp.ask('get_contact', { id })).toMatchObject(notFound)
    }
    expect(idOf(await muroClient(api.url, tenant.apiKey).get(`/conversations/${thread.conversation}`))).toBe(
      thread.conversation,
    )
  })
})
