/** Public ids and the small closed lists that the contracts share. */

import { z } from 'zod'

/** What each kind of thing's public id starts with. */
export const idPrefixes = {
  workspace: 'org',
  user: 'usr',
  key: 'key',
  site: 'web',
  widget: 'wgt',
  contact: 'vis',
  conversation: 'cnv',
  message: 'msg',
  event: 'evt',
  attachment: 'att',
  webhook: 'whk',
  delivery: 'dlv',
  rule: 'rul',
  savedReply: 'rpl',
} as const

export type IdKind = keyof typeof idPrefixes

/** Returns whether `value` has the form of a public id of that kind. Nothing else is ever looked up. */
export const isId = (kind: IdKind, value: string): boolean =>
  value.startsWith(`${idPrefixes[kind]}_`) && /^[a-z]{3}_[A-Za-z0-9]{1,64}$/.test(value)

export const userRoles = ['admin', 'agent'] as const
export type UserRole = (typeof userRoles)[number]

export const keyScopes = ['read', 'write'] as const
export type KeyScope = (typeof keyScopes)[number]

export const conversationStates = ['open', 'pending', 'snoozed', 'closed'] as const
export type ConversationState = (typeof conversationStates)[number]

export const senderTypes = ['visitor', 'agent', 'note', 'system'] as const
export type SenderType = (typeof senderTypes)[number]

/** The status that is shown outside: pending is a kind of open. */
export const shownStatus = (state: ConversationState): 'open' | 'snoozed' | 'closed' =>
  state === 'pending' ? 'open' : state

export const publicId = (kind: IdKind): z.ZodType<string> =>
  z
    .string()
    .refine((value) => isId(kind, value), `must look like ${idPrefixes[kind]}_…`)
    .meta({ pattern: `^${idPrefixes[kind]}_[A-Za-z0-9]{1,64}$` })
