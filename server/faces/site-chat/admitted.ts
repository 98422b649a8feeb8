/** What a request of the site chat face was admitted for: a site by its key, and a visitor by a token. */

import type { FastifyRequest } from 'fastify'
import { HubbubError } from '../../../schema/errors.ts'
import { siteChatErrors as errors } from '../../../schema/site-chat.ts'
import type { Context, VisitorScope } from '../../domain/context.ts'
import { findVisitor } from '../../domain/site-visitors.ts'
import type { Site } from '../../domain/sites.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The site whose key came with the request. */
    site: Site | null
  }
  interface FastifyContextConfig {
    /** Requests a minute of this route, for each site key and address. */
    perMinute?: number
  }
}

/** Returns the site that a request was admitted for. */
export const admitted = ({ site }: FastifyRequest): Site => {
  if (!site) throw new HubbubError('unauthenticated', errors.key)
  return site
}

/** Returns the visitor whose conversation the token in the path opens; refuses a token that opens none. */
export const visitorOf = async (
  { sql }: Context,
  request: FastifyRequest,
  { visitor_token }: { visitor_token: string },
  refusal: string = errors.notFound,
): Promise<VisitorScope> => {
  const visitor = await findVisitor(sql, admitted(request), visitor_token)
  if (!visitor) throw new HubbubError('not_found', refusal)
  return visitor
}
