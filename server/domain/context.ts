/** What every function of the domain is given first, and in whose name it acts. */

import type { Bus } from '../../realtime/bus/bus.ts'
import type { LoggedEvent } from '../../schema/events.ts'
import type { KeyScope, UserRole } from '../../schema/ids.ts'
import type { Sql } from '../db/sql.ts'

/** The means: the database, the bus that tells what was written, and who else in this process hears of it. */
export type Context = { sql: Sql; bus: Pick<Bus, 'publish'>; onLogged?: (events: LoggedEvent[]) => void }

/** The tenant: its row and its public id. Every query is narrowed by it. */
export type Workspace = { id: number; publicId: string }

/** A site: its row and its public id. */
export type SiteRef = { id: number; publicId: string }

/** How far a scope reaches: a workspace, or one site of it. */
export type Reach = { workspace: Workspace; site: SiteRef | null }

/** An API key, acting for the user who made it; a pinned one reaches its site only. */
export type AgentScope = Reach & {
  key: { publicId: string; version: number; scopes: readonly KeyScope[]; expiresAt: Date | null }
  user: { publicId: string; name: string; role: UserRole }
}

/** A visitor in a conversation of a site. */
export type VisitorScope = Reach & {
  conversation: { publicId: string }
  contact: { id: number; publicId: string; name: string | null }
}
