/** Replies as a tool: what the visitor reads, or a note for the team. */

import { createHash } from 'node:crypto'
import { toolInputs, toolOutputs } from '../../../../schema/mcp.ts'
import { presentMessage } from '../../../../schema/muro/presenters.ts'
import type { AgentScope } from '../../../domain/context.ts'
import type { Claim } from '../../../domain/idempotency.ts'
import { sendMessage } from '../../../domain/messages.ts'
import { defineTool } from './tool.ts'

export const sendReplyTool = defineTool({
  name: 'send_reply',
  title: 'Send a reply',
  description:
    'Sends a message into a conversation: a reply that the visitor sees at once (kind agent, the default), or an internal note that only the team sees (kind note). It cannot be taken back. Give an idempotency_key where the call may be made twice.',
  scope: 'write',
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: toolInputs.send_reply,
  output: toolOutputs.send_reply,
  aliases: { id: 'conversation_id' },
  run: async ({ context, agent }, { idempotency_key: key, ...input }) => {
    const { conversation_id: id, ...message } = input
    const claim = key === undefined ? undefined : claimOf(agent, key, input)
    return presentMessage((await sendMessage(context, agent, id, message, claim)).answer)
  },
})

// The same key and the same message are the same call, whatever the numbers of the requests that carry them.
const claimOf = ({ key: { publicId } }: AgentScope, key: string, input: Record<string, unknown>): Claim => ({
  owner: publicId,
  route: 'tools/call send_reply',
  key,
  fingerprint: createHash('sha256').update(JSON.stringify(input)).digest(),
})
