/** Idempotency: an identical retry is answered what the first request was, and acts once. */

import { randomUUID } from 'node:crypto'
import { HubbubError } from '../../schema/errors.ts'
import { type Queryable, type Sql, type Tx, violatedUnique } from '../db/sql.ts'
import type { Context } from './context.ts'
import { type Log, record } from './record.ts'

/** A request that asks to act once: whose it is, on which route, by which key, and the SHA-256 of what it says. */
export type Claim = { owner: string; route: string; key: string; fingerprint: Buffer }

/** What a write answers, and whether it had been answered before. */
export type Settled<T> = { answer: T; replayed: boolean }

/** Name of the constraint that a second claim violates. */
export const claimConstraint = 'idempotency_keys_pkey'

/**
 * Records a write as `record` does; under a claim it acts once, and later claims get its answer, which must be plain
 * JSON. `check` throws where that may not be shown any more: the key may have been pinned meanwhile, or what was
 * made may have been deleted.
 */
export const recordOnce = async <T>(
  context: Context,
  claim: Claim | undefined,
  write: (tx: Tx, log: Log) => Promise<T>,
  check: (stored: T) => void | Promise<void>,
): Promise<Settled<T>> => {
  if (!claim) return { answer: await record(context, write), replayed: false }
  return await settle<T>(
    context.sql,
    claim,
    async () =>
      await record(context, async (tx, log) => {
        await insertClaim(tx, claim)
        const answer = await write(tx, log)
        await answerClaim(tx, claim, answer)
        return answer
      }),
    async (stored) => {
      const answer = stored as T
      await check(answer)
      return answer
    },
  )
}

/** Ends a claim with its answer: in the transaction of the effect where there is one, so that both are there or neither. */
export type Finish<T> = (tx: Queryable, answer: T) => Promise<void>

/**
 * For so long work is taken to be running after its process said so last, in seconds; then that has died, and a retry
 * begins anew. And how often it says so, in ms.
 */
const lease = 15
const renewal = 5000

/**
 * Does work of several steps once. While it runs, an identical request is refused; when it has failed, the next one
 * begins anew. Work that is not finished by `finish` is finished with what it returns.
 */
export const workOnce = async <T>(
  sql: Sql,
  claim: Claim | undefined,
  work: (finish: Finish<T>) => Promise<T>,
): Promise<Settled<T>> => {
  if (!claim) return { answer: await work(async () => undefined), replayed: false }
  const runner = randomUUID()
  const found = await beginClaim(sql, claim, runner)
  if (found) {
    if (!found.fingerprint.equals(claim.fingerprint)) throw mismatch()
    if (found.running) {
      throw new HubbubError('idempotency_in_progress', 'The first request with this Idempotency-Key still runs.')
    }
    return { answer: found.answer as T, replayed: true }
  }
  let finished = false
  const finish: Finish<T> = async (tx, answer) => {
    await finishClaim(tx, claim, runner, answer)
    finished = true
  }
  const letGo = keepClaim(sql, claim, runner)
  try {
    const answer = await work(finish)
    if (!finished) await finish(sql, answer)
    return { answer, replayed: false }
  } catch (error) {
    await dropClaim(sql, claim, runner)
    throw error
  } finally {
    letGo()
  }
}

/** Runs an attempt that makes the claim; if the claim was made before, recalls the answer that was stored with it. */
export const settle = async <T>(
  sql: Sql,
  claim: Claim,
  attempt: () => Promise<T>,
  recall: (stored: unknown) => Promise<T>,
): Promise<Settled<T>> => {
  for (;;) {
    try {
      return { answer: await attempt(), replayed: false }
    } catch (error) {
      if (violatedUnique(error) === undefined) throw error
      const found = await findClaim(sql, claim)
      // The violation may be of another constraint, and then it is the caller's to explain.
      if (!found) {
        if (violatedUnique(error) !== claimConstraint) throw error
        continue
      }
      if (!found.fingerprint.equals(claim.fingerprint)) {
        throw mismatch()
      }
      return { answer: await recall(found.answer), replayed: true }
    }
  }
}

/** Forgets claims that are older than a day and returns how many. */
export const forgetOldClaims = async (sql: Sql): Promise<number> => {
  const { count } = await sql`delete from idempotency_keys where created_at < clock_timestamp() - interval '24 hours'`
  return count
}

const mismatch = () =>
  new HubbubError('idempotency_mismatch', 'This Idempotency-Key was used before with a different request.', {
    param: 'Idempotency-Key',
  })

// A claim whose time is over is taken over, and one that is older than a day is made anew.
const beginClaim = async (sql: Sql, claim: Claim, runner: string) => {
  const { owner, route, key, fingerprint } = claim
  for (;;) {
    await findClaim(sql, claim)
    const [begun] = await sql`
      insert into idempotency_keys as k (owner, route, key, fingerprint, runner, running_until)
      values (${owner}, ${route}, ${key}, ${fingerprint}, ${runner},
              clock_timestamp() + make_interval(secs => ${lease}))
      on conflict (owner, route, key) do update
         set runner = excluded.runner, running_until = excluded.running_until, fingerprint = excluded.fingerprint
       where k.running_until < clock_timestamp()
      returning 1`
    if (begun) return undefined
    const found = await findClaim(sql, claim)
    if (found) return found
  }
}

/** Says again and again that the work of a claim still runs, until what it returns is called. */
const keepClaim = (sql: Sql, claim: Claim, runner: string): (() => void) => {
  let hasEnded = false
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    if (!hasEnded) timer = setTimeout(renew, renewal).unref()
  }
  // What fails is tried again; where it goes on failing the claim runs out, and whoever finishes is told.
  const renew = () => renewClaim(sql, claim, runner).then(wait, wait)
  wait()
  return () => {
    hasEnded = true
    clearTimeout(timer)
  }
}

const renewClaim = async (sql: Sql, { owner, route, key }: Claim, runner: string): Promise<void> => {
  await sql`
    update idempotency_keys set running_until = clock_timestamp() + make_interval(secs => ${lease})
     where owner = ${owner} and route = ${route} and key = ${key} and runner = ${runner} and running_until is not null`
}

const finishClaim = async (
  tx: Queryable,
  { owner, route, key }: Claim,
  runner: string,
  answer: unknown,
): Promise<void> => {
  const { count } = await tx`
    update idempotency_keys set answer = ${JSON.stringify(answer)}::text::json, running_until = null
     where owner = ${owner} and route = ${route} and key = ${key} and runner = ${runner} and running_until is not null`
  if (count === 0) throw new HubbubError('conflict', 'This request took too long, and its retry was begun: ask again.')
}

const dropClaim = async (sql: Sql, { owner, route, key }: Claim, runner: string): Promise<void> => {
  await sql`
    delete from idempotency_keys
     where owner = ${owner} and route = ${route} and key = ${key} and runner = ${runner} and running_until is not null`
}

/** Makes a claim in the transaction of its effect, before every other lock; one that was made before violates its key. */
export const insertClaim = async (tx: Tx, { owner, route, key, fingerprint }: Claim): Promise<void> => {
  await tx`
    insert into idempotency_keys (owner, route, key, fingerprint) values (${owner}, ${route}, ${key}, ${fingerprint})`
}

/** Keeps what later claims are answered by. */
export const answerClaim = async (tx: Tx, { owner, route, key }: Claim, answer: unknown): Promise<void> => {
  // As a text: the driver's json() is jsonb, which forgets the order of keys, and a replay is the same bytes.
  await tx`
    update idempotency_keys set answer = ${JSON.stringify(answer)}::text::json
     where owner = ${owner} and route = ${route} and key = ${key}`
}

// A claim older than a day no longer counts: it is removed, and the attempt starts again.
const findClaim = async (sql: Sql, { owner, route, key }: Claim) => {
  await sql`
    delete from idempotency_keys
     where owner = ${owner} and route = ${route} and key = ${key}
       and created_at < clock_timestamp() - interval '24 hours'`
  const [found] = await sql<{ fingerprint: Buffer; answer: unknown; running: boolean }[]>`
    select fingerprint, answer, running_until is not null as running
      from idempotency_keys where owner = ${owner} and route = ${route} and key = ${key}`
  return found
}
