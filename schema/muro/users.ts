/** Contracts of users: who works in the workspace, and whether they want to be asked. */

import { z } from 'zod'
import { cursor, limit, shownTime } from './conventions.ts'

export const availabilities = ['online', 'away', 'busy', 'offline'] as const

export const user = z
  .object({
    object: z.literal('user'),
    id: z.string(),
    name: z.string(),
    email: z.string(),
    role: z.enum(['admin', 'agent']),
    availability: z
      .enum(availabilities)
      .describe('What they chose; who is connected is told by the presence channels.'),
    created_at: shownTime,
  })
  .meta({ id: 'User' })

export const listUsers = z.object({ cursor, limit })

export const updateUser = z.object({ availability: z.enum(availabilities) })

export type User = z.infer<typeof user>
export type UpdateUser = z.infer<typeof updateUser>
