/** P6 for work of several steps: while it runs nobody begins it again, and whoever comes after its process died does soon. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Claim, workOnce } from '../../server/domain/idempotency.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase({ max: 5 })
})
afterAll(() => database.close())

const claimOf = (key: string): Claim => ({ owner: 'test', route: 'work', key, fingerprint: Buffer.from('x') })

/** Begins work under a claim that lasts until `end` is called. */
const begin = async (claim: Claim) => {
  let end = (_answer: string): void => undefined
  let settled: ReturnType<typeof workOnce<string>> | undefined
  await new Promise<void>((resolve) => {
    settled = workOnce(database.sql, claim, async () => {
      resolve()
      return await new Promise<string>((answer) => {
        end = answer
      })
    })
  })
  return { settled, end }
}

/** For how many seconds more the work under a claim is taken to be running. */
const leftOf = async ({ key }: Claim): Promise<number | null> => {
  const [row] = await database.sql<{ left: number | null }[]>`
    select extract(epoch from running_until - clock_timestamp())::float8 as left from idempotency_keys where key = ${key}`
  return row ? row.left : Number.NaN
}

const isOver = async ({ key }: Claim) => {
  await database.sql`update idempotency_keys set running_until = clock_timestamp() - interval '1 second' where key = ${key}`
}

it('is begun anew where its process says no more that it runs, 15 s later at the latest', async () => {
  const claim = claimOf('died')
  const dead = await begin(claim)
  expect(await leftOf(claim)).toBeLessThanOrEqual(15)
  await isOver(claim)
  expect(await workOnce(database.sql, claim, async () => 'anew')).toEqual({ answer: 'anew', replayed: false })
  // Who was only taken for dead does not answer what somebody else did.
  dead.end('late')
  await expect(dead.settled).rejects.toMatchObject({ code: 'conflict' })
  expect(await workOnce(database.sql, claim, async () => 'never')).toEqual({ answer: 'anew', replayed: true })
})

it('is not begun anew while its process lives, however long it lasts', async () => {
  const claim = claimOf('lasts')
  const work = await begin(claim)
  await isOver(claim)
  await expect.poll(() => leftOf(claim), { timeout: 15_000, interval: 100 }).toBeGreaterThan(0)
  await expect(workOnce(database.sql, claim, async () => 'twice')).rejects.toMatchObject({
    code: 'idempotency_in_progress',
  })
  work.end('once')
  expect(await work.settled).toEqual({ answer: 'once', replayed: false })
  expect(await workOnce(database.sql, claim, async () => 'twice')).toEqual({ answer: 'once', replayed: true })
  expect(await leftOf(claim)).toBeNull()
})
