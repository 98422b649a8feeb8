/** Sites: where visitors chat from, each with its public site key. */

import { isDeepStrictEqual } from 'node:util'
import { randomToken } from '../../auth/random.ts'
import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { CreateSite, SiteShown, UpdateSite, WidgetLook } from '../../schema/muro/sites.ts'
import { type Fragment, type Queryable, type Sql, type Tx, transact } from '../db/sql.ts'
import type { AgentScope, Context, Reach, SiteRef, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { isoTime } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { readList } from './lists.ts'
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
  look: WidgetLook
}

/** What may be set of a new site. */
export type SiteSettings = { name: string; origins?: string[]; greeting?: string; autoReply?: string }

/** Creates a site with its widget id and site key. The site key is public: it stands in the pages of the site. */
export const createSite = async (
  tx: Tx,
  workspace: Workspace,
  { autoReply, ...settings }: SiteSettings,
): Promise<{ rowId: number; id: string; widget_id: string; site_key: string }> =>
  await insertSite(tx, workspace, { ...settings, auto_reply: autoReply })

const insertSite = async (tx: Tx, workspace: Workspace, settings: CreateSite) => {
  const site = { id: newId('site'), widget_id: newId('widget'), site_key: `site_${randomToken()}` }
  const number = await nextNumber(tx, workspace, 'site')
  const { id: public_id, ...keys } = site
  const columns = { public_id, ...keys, workspace_id: workspace.id, number, ...givenOf(settings) }
  const [row] = await tx<{ id: number }[]>`insert into sites ${tx(columns)} returning id`
  if (!row) throw new Error('a site was not inserted')
  return { rowId: row.id, ...site }
}

// What is left out is what the table says.
const givenOf = (settings: Record<string, Column | undefined>): Record<string, Column> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  )

type Column = string | boolean | string[] | null

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
           json_build_object('color', s.color, 'position', s.position, 'size', s.size, 'language', s.language,
                             'agent_name', s.agent_name) as look,
           w.id as "workspaceId", w.public_id as "workspacePublicId"
      from sites s join workspaces w on w.id = s.workspace_id
     where s.site_key = ${siteKey}`
  if (!row) return undefined
  const { workspaceId, workspacePublicId, ...site } = row
  return { ...site, workspace: { id: workspaceId, publicId: workspacePublicId } }
}

/** A site as it is shown to staff, before a face says what it is. */
export type SiteFacts = Omit<SiteShown, 'object'>

/** Returns a page of the sites that the scope reaches, the oldest first. */
export const listSites = async (
  { sql }: Context,
  reach: Reach,
  page: { cursor?: string | undefined; limit: number },
): Promise<Page<SiteFacts>> =>
  await readList(
    sql,
    { list: 'sites', ...page },
    sql`select s.id, ${sql.unsafe(siteFacts)} as facts from sites s where ${reachedSites(sql, reach)}`,
  )

/** Returns one site that the scope reaches. */
export const readSite = async ({ sql }: { sql: Queryable }, reach: Reach, id: string): Promise<SiteFacts> => {
  const [found] = isId('site', id)
    ? await sql<{ facts: SiteFacts }[]>`
        select ${sql.unsafe(siteFacts)} as facts from sites s
         where ${reachedSites(sql, reach)} and s.public_id = ${id}`
    : []
  if (!found) throw noSite()
  return found.facts
}

/** Creates a site in the name of an agent. */
export const addSite = async (
  context: Context,
  scope: AgentScope,
  settings: CreateSite,
  claim?: Claim,
): Promise<Settled<SiteFacts>> => {
  if (scope.site !== null) {
    throw new HubbubError('forbidden', 'This API key is pinned to a site: it may not create others.')
  }
  return await recordOnce(
    context,
    claim,
    async (tx) => {
      const { id } = await insertSite(tx, scope.workspace, settings)
      return await readSite({ sql: tx }, scope, id)
    },
    // A key that was pinned meanwhile was refused before.
    () => undefined,
  )
}

/**
 * Changes the settings of a site that the scope reaches, where it runs and whether it does included: a key that is
 * pinned to a site is there to run it. What stays the same is no change.
 */
export const updateSite = async (
  { sql }: Context,
  scope: AgentScope,
  id: string,
  patch: UpdateSite,
): Promise<SiteFacts> =>
  await transact(sql, async (tx) => {
    const [row] = isId('site', id)
      ? await tx<{ id: number; facts: SiteFacts }[]>`
          select s.id, ${tx.unsafe(siteFacts)} as facts from sites s
           where ${reachedSites(tx, scope)} and s.public_id = ${id} for no key update`
      : []
    if (!row) throw noSite()
    const held: Record<string, unknown> = row.facts
    const columns = Object.fromEntries(
      Object.entries(givenOf(patch)).filter(([name, value]) => !isDeepStrictEqual(value, held[name])),
    )
    if (Object.keys(columns).length === 0) return row.facts
    await tx`update sites set ${tx(columns)}, updated_at = clock_timestamp() where id = ${row.id}`
    return await readSite({ sql: tx }, scope, id)
  })

const siteFacts = `
  json_build_object(
    'id', s.public_id, 'name', s.name, 'widget_id', s.widget_id, 'site_key', s.site_key, 'origins', s.origins,
    'active', s.active, 'greeting', s.greeting, 'auto_reply', s.auto_reply, 'color', s.color, 'position', s.position,
    'size', s.size, 'language', s.language, 'agent_name', s.agent_name,
    'created_at', ${isoTime('s.created_at')}, 'updated_at', ${isoTime('s.updated_at')})`

const reachedSites = (sql: Queryable, { workspace, site }: Reach): Fragment =>
  sql`s.workspace_id = ${workspace.id} ${site === null ? sql`` : sql`and s.id = ${site.id}`}`

const noSite = () => new HubbubError('not_found', 'No such site.')
