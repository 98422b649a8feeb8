/** A visitor who begins a conversation, as the site chat lets them. */

import { z } from 'zod'
import { call, muroClient } from './http.ts'
import type { Tenant } from './tenant.ts'

/** A conversation that was begun, whose it is, and what opens it; `headers` are the visitor's. */
export type Visit = {
  id: string
  contact: string
  token: string
  conversationToken: string
  headers: { 'X-Api-Key': string; 'X-Visitor-Token': string }
}

let visitors = 0

/** Begins a conversation on a site, the tenant's first one unless another is given; of a new visitor unless one is named. */
export const beginVisit = async (
  url: string,
  tenant: Tenant,
  { email, message = 'Hello', site = tenant.site }: { email?: string; message?: string; site?: Tenant['site'] } = {},
): Promise<Visit> => {
  visitors += 1
  const token = `visitor-${visitors}`
  const body = { name: 'Vita', email: email ?? `${token}@example.com`, message, visitor_token: token }
  const headers = { 'X-Api-Key': site.site_key }
  const begun = z
    .object({ conversation_id: z.string(), conversation_token: z.string() })
    .parse((await call(url, 'POST', '/api/v1/chat/conversations', { headers, body })).body)
  const { visitor } = z
    .object({ visitor: z.object({ id: z.string() }) })
    .parse((await muroClient(url, tenant.apiKey).get(`/conversations/${begun.conversation_id}`)).body)
  return {
    id: begun.conversation_id,
    contact: visitor.id,
    token,
    conversationToken: begun.conversation_token,
    headers: { ...headers, 'X-Visitor-Token': token },
  }
}
