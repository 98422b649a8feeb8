/** All tools, in the order in which they are listed: always the same, so that clients and models can keep the list. */

import { getContactTool, listContactsTool } from './contacts.ts'
import { getConversationTool, listConversationsTool, updateConversationTool } from './conversations.ts'
import { sendReplyTool } from './replies.ts'
import { listSitesTool, updateSiteTool } from './sites.ts'
import { summarizeConversationTool } from './summaries.ts'
import type { Tool } from './tool.ts'

export const tools: readonly Tool[] = [
  listConversationsTool,
  getConversationTool,
  sendReplyTool,
  updateConversationTool,
  summarizeConversationTool,
  listContactsTool,
  getContactTool,
  listSitesTool,
  updateSiteTool,
]
