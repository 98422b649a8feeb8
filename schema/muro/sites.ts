/** Contracts of sites: where visitors chat from, and how the widget looks there. */

import { z } from 'zod'
import { shortText } from '../text.ts'
import { cursor, isAnyKnown, limit, shownTime } from './conventions.ts'

export const widgetPositions = ['left', 'right'] as const
export const widgetSizes = ['small', 'medium', 'large'] as const

// Becomes what browsers send: lower case, Punycode, without the port that the scheme has anyway.
const origin = z
  .string()
  .max(300)
  .regex(/^https?:\/\/[^/?#\\@*\s]+$/i, 'must look like https://example.com')
  .refine(URL.canParse, 'must look like https://example.com')
  .transform((text) => new URL(text).origin)

/** Where a widget may run. */
export const origins = z
  .array(origin)
  .max(100)
  .transform((all) => [...new Set(all)])

/** A site with its settings. */
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
    agent_name: z.string().nullable().describe('The name under which the widget presents whoever answers.'),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'Site' })

const settings = z.object({
  name: shortText(200),
  origins: origins.describe('Replaces the origins where the widget may run.'),
  active: z.boolean(),
  greeting: shortText(1000).nullable(),
  auto_reply: shortText(1000).nullable(),
  color: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'must look like #1a2b3c')
    .nullable(),
  position: z.enum(widgetPositions),
  size: z.enum(widgetSizes),
  language: z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en or pt-BR'),
  agent_name: shortText(100).nullable(),
})

export const listSites = z.object({ cursor, limit })
export const createSite = settings.partial().required({ name: true })
export const updateSite = settings.partial().refine(...isAnyKnown)

/** How the widget looks on a site. */
export type WidgetLook = Pick<SiteShown, 'color' | 'position' | 'size' | 'language' | 'agent_name'>

export type SiteShown = z.infer<typeof site>
export type CreateSite = z.infer<typeof createSite>
export type UpdateSite = z.infer<typeof updateSite>
