/**
 * A session of an agent: finds the open conversations in which a text occurs, reads them, answers, and closes them.
 * node examples/mcp-session.mjs http://127.0.0.1:3000 mr_live_… 'refund' 'Your refund is on its way.'
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

/** Connects to the MCP server of an installation. */
export const connect = async (api, key) => {
  const client = new Client({ name: 'mcp-session', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  const requestInit = { headers: { Authorization: `Bearer ${key}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL('/api/mcp', api), { requestInit }))
  return client
}

/** Returns what a tool answers; throws what it could not do. */
const call = async (client, name, args) => {
  const { isError, content, structuredContent } = await client.callTool({ name, arguments: args })
  if (!isError) return structuredContent
  const { message, ...details } = JSON.parse(content[0].text).error
  throw Object.assign(new Error(message), details)
}

/** Works through the inbox. `answer` is given a conversation and returns the reply; undefined: it is left alone. */
export const work = async (client, { find, answer, tell }) => {
  for (let cursor; cursor !== null; ) {
    const page = await call(client, 'list_conversations', { status: 'open', q: find, ...(cursor && { cursor }) })
    for (const { id: conversation_id } of page.data) {
      const conversation = await call(client, 'get_conversation', { conversation_id })
      const content = await answer(conversation)
      if (content === undefined) continue
      const { messages } = conversation
      const asked = messages.findLast(({ sender_type }) => sender_type === 'visitor')
      // A session that was cut off and begins again answers nobody twice, whatever it would say now.
      const idempotency_key = `${conversation_id}-${asked?.id}`
      const expected_seq = messages.at(-1)?.conversation_seq ?? 0
      const refusal = await call(client, 'send_reply', {
        conversation_id,
        content,
        idempotency_key,
        expected_seq,
      }).then(
        () => undefined,
        (error) => error,
      )
      // Something was said meanwhile: the conversation stays open, and is read again the next time.
      if (refusal?.code === 'newer_messages') continue
      if (refusal && refusal.code !== 'idempotency_mismatch') throw refusal
      tell(await call(client, 'update_conversation', { conversation_id, status: 'closed', mark_read: true }))
    }
    cursor = page.next_cursor
  }
}

if (process.argv[1]?.endsWith('mcp-session.mjs')) {
  const [, , api, key, find, content] = process.argv
  const client = await connect(api, key)
  // Here a model would think; this agent says the same to each visitor who waits for an answer.
  const answer = ({ messages }) => (messages.at(-1)?.sender_type === 'visitor' ? content : undefined)
  const tell = ({ id, status, visitor }) =>
    process.stdout.write(`${id} ${status}, answered ${visitor.name ?? 'a visitor'}\n`)
  await work(client, { find, answer, tell })
  await client.close()
}
