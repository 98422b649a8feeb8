/** Types of mcp-session.mjs. */
import type { Client } from '@modelcontextprotocol/client'

export type Conversation = {
  id: string
  status: string
  visitor: { id: string; name: string | null; email: string | null }
  messages: { id: string; sender_type: string; content: string; conversation_seq: number }[]
}

export function connect(api: string, key: string): Promise<Client>

export function work(
  client: Client,
  agent: {
    find: string
    answer: (conversation: Conversation) => string | undefined | Promise<string | undefined>
    tell: (closed: Omit<Conversation, 'messages'>) => void
  },
): Promise<void>
