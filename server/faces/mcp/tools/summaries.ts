/** Summaries as a tool. */

import { toolInputs, toolOutputs } from '../../../../schema/mcp.ts'
import { presentSummary } from '../../../../schema/muro/presenters.ts'
import type { Prompt } from '../../../ai/ai.ts'
import { summarizeConversation } from '../../../domain/summaries.ts'
import { defineTool } from './tool.ts'

export const summarizeConversationTool = defineTool({
  name: 'summarize_conversation',
  title: 'Summarize a conversation',
  description:
    'Has the workspace’s AI write a recap of a conversation in a few points (what the visitor wanted, what was done, what is to follow) and keeps it for the team. It takes some seconds, and fails with api_error where AI is off.',
  scope: 'write',
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  input: toolInputs.summarize_conversation,
  output: toolOutputs.summarize_conversation,
  aliases: { id: 'conversation_id' },
  run: async ({ context, agent, ai, outside }, { conversation_id: id }) => {
    const patient = ai && { ...ai, complete: (prompt: Prompt) => outside(() => ai.complete(prompt)) }
    return presentSummary((await summarizeConversation(context, agent, patient, id)).answer)
  },
})
