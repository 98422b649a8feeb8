/** Contracts of sites: where visitors chat from, and how the widget looks there. */

import { z } from 'zod'
import { shortText } from '../text.ts'
import { cursor, isAnyKnown, limit, shownTime } from './conventions.ts'

export const widgetPositions = ['left', 'right'] as const
export const widgetSizes = ['small', 'medium', 'large'] as const

/** An origin as browsers send it. */
export const origin = z
  .string()
  .regex(/^https?:\/\/[^/]+$/, 'must look like https://example.com')
  .max(300)

export const site = z
  .object({
    object: z.literal('site'),
    id: z.string(),
    name: z.string(),
    widget_id: z.string(),
    site_key: z.string().describe('Public: it stands in the pages of the site.'),
    origins: z.array(z.string()).describe('Where the widget may run.'),
    active: z.boolean(),
    greeting: z.string().nullable().describe('The welcome message.'),
    auto_reply: z.string().nullable(),
    color: z.string().nullable(),
    position: z.enum(widgetPositions),
    size: z.enum(widgetSizes),
    language: z.string(),
    agent_name: z.string().nullable().describe('What visitors see instead of the agent’s own name.'),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'Site' })

const settings = z.object({
  name: shortText(200),
  origins: z.array(origin).max(100),
  active: z.boolean(),
  greeting: shortText(1000).nullable(),
  auto_reply: shortText(1000).nullable(),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/i, 'must look like #1a2b3c')
    .nullable(),
  position: z.enum(widgetPositions),
  size: z.enum(widgetSizes),
  language: z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en or pt-BR'),
  agent_name: shortText(100).nullable(),
})

export const listSites = z.object({ cursor, limit })
export const createSite = settings.partial().required({ name: true })
export const updateSite = settings.partial().refine(...isAnyKnown)

export type SiteShown = z.infer<typeof site>
export type CreateSite = z.infer<typeof createSite>
export type UpdateSite = z.infer<typeof updateSite>
