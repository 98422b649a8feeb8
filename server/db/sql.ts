/** The pool of connections to Postgres. */

import postgres from 'postgres'

type Types = { bigint: number; textArray: string[] }

/** The pool. */
export type Sql = postgres.Sql<Types>

/** One transaction of it. */
export type Tx = postgres.TransactionSql<Types>

/** Either: what a single statement needs. */
export type Queryable = Sql | Tx

/** A piece of SQL that goes into a statement. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>

/**
 * Opens a pool; connections are made when first needed. `name` is what Postgres shows of them. With `onClose`, which
 * hears of each connection that ends, none is ended for its age: its session may hold something.
 */
export const openSql = (
  url: string,
  { max = 20, name, onClose }: { max?: number; name: string; onClose?: (() => void) | undefined },
): Sql =>
  guardTransactions(
    postgres(url, {
      max,
      ...(onClose ? { onclose: onClose, max_lifetime: null } : {}),
      connect_timeout: 5,
      connection: { application_name: name },
      onnotice: () => undefined,
      // Asking for the array types on each new connection is a query that nothing catches: a connection lost in the
      // middle of it would end the program. The one array type in use is given here, and is read through to_json.
      fetch_types: false,
      types: {
        // Counters stay far below 2^53; a number is what JSON shows.
        bigint: { to: 20, from: [20], parse: Number, serialize: String },
        textArray: { to: textArray, from: [], parse: (): string[] => [], serialize: writeTextArray },
      },
    }),
  )

/** Runs a write in one transaction and returns its value as it is; the driver's own type unwraps arrays of promises. */
export const transact = async <T>(sql: Sql, write: (tx: Tx) => Promise<T>): Promise<T> => {
  const outcome: { value?: T } = {}
  await sql.begin(async (tx) => {
    outcome.value = await write(tx)
  })
  // Set, or `begin` has thrown.
  return outcome.value as T
}

// When a statement fails, the driver rolls back; where it failed because the connection is gone, that write throws
// where nothing catches it, and would end the program (github.com/porsager/postgres/issues/1208). So a transaction
// whose connection is lost never fails by itself: the driver rejects `begin` when it sees the connection close.
const guardTransactions = (sql: Sql): Sql => {
  const { begin } = sql
  return Object.assign(sql, {
    begin: async (write: (tx: Tx) => unknown) =>
      await begin(async (tx) => {
        try {
          return await write(tx)
        } catch (error) {
          if (isConnectionLost(error)) return await new Promise(() => undefined)
          throw error
        }
      }),
  })
}

// After a FATAL error Postgres ends the session; the driver's own errors have a code of the system or of its own.
const isConnectionLost = (error: unknown): boolean =>
  error instanceof postgres.PostgresError
    ? error.severity === 'FATAL' || error.severity === 'PANIC'
    : error instanceof Error && 'code' in error && typeof error.code === 'string' && unreachable.has(error.code)

// The type's number in every Postgres.
const textArray = 1009

const writeTextArray = (texts: string[]): string =>
  `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** Returns the name of the constraint that a statement violated by not being unique; undefined for other errors. */
export const violatedUnique = (error: unknown): string | undefined =>
  error instanceof postgres.PostgresError && error.code === '23505' ? (error.constraint_name ?? '') : undefined

/** Returns whether an error says that Postgres could not be reached or is not answering for now. */
export const isUnavailable = (error: unknown): boolean => {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  // 55000: a database that lets nobody in, for maintenance.
  return unreachable.has(error.code) || /^(57P0|08|53|55000)/.test(error.code)
}

const unreachable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
])
