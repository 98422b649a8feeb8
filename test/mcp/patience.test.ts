/** How long a tool may take: as long as any request, but for what waits for the AI. */

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeAi, startAi } from '../support/ai.ts'
import { type Api, startApi } from '../support/api.ts'
import { muroClient } from '../support/http.ts'
import { mcpOf } from './mcp.ts'

let fake: FakeAi
let api: Api
beforeAll(async () => {
  fake = await startAi()
  api = await startApi(fake.env)
})
afterAll(async () => {
  await api?.close()
  await fake?.stop()
})

/** A workspace with a conversation in which something was said. */
const makeThread = async () => {
  const tenant = await api.makeTenant()
  const { conversation } = await tenant.thread()
  const mcp = mcpOf(api.url, tenant.apiKey)
  await mcp.tool('send_reply', { conversation_id: conversation, content: 'Refunded.' })
  return { conversation, mcp, muro: muroClient(api.url, tenant.apiKey) }
}

describe.concurrent('a tool', () => {
  it('that the database keeps waiting is answered in time, under the id of its request', async () => {
    const { conversation, mcp } = await makeThread()
    const args = { conversation_id: conversation, status: 'closed' }
    const answer = await api.database.sql.begin(async (tx) => {
      await tx`select from conversations where public_id = ${conversation} for update`
      return await mcp.request('tools/call', { name: 'update_conversation', arguments: args })
    })
    expect(answer.status).toBe(503)
    expect(answer.body).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32603,
        message: expect.stringContaining('in time'),
        data: { type: 'api_error', code: 'unavailable' },
      },
    })
    await expect.poll(async () => (await mcp.tool('get_conversation', { id: conversation })).status).toBe('closed')
  })

  it('that waits for the AI has longer', async () => {
    const { conversation, mcp, muro } = await makeThread()
    const release = fake.holds('["It was paid back."]')
    const asked = mcp.tool('summarize_conversation', { conversation_id: conversation })
    await fake.received(1)
    await pause(5500)
    release()
    const summary = await asked
    expect(summary).toMatchObject({ object: 'summary', bullets: ['It was paid back.'], message_count: 1 })
    expect((await muro.get(`/conversations/${conversation}/summary`)).body).toEqual(summary)
  })
})
