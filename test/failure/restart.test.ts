/** One program with everything in it is restarted under load, in order and by force: who recovers has missed nothing. */

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { testApp } from '../support/api.ts'
import { freshDatabase } from '../support/database.ts'
import { call } from '../support/http.ts'
import { makePlace, takePort } from '../support/place.ts'
import { type Program, startProgram } from '../support/program.ts'
import { makeTenant } from '../support/tenant.ts'
import { followPersistently } from './persistent.ts'

const freePort = async (): Promise<number> => {
  const { port, free } = await takePort()
  await free()
  return port
}

test.each([
  ['SIGTERM', (program: Program) => program.stop()],
  ['SIGKILL', (program: Program) => program.kill()],
] as const)('P3: three restarts by %s lose nothing', { timeout: 120_000 }, async (_, end) => {
  const database = await freshDatabase({ max: 3 })
  onTestFinished(database.close)
  const [port, realtimePort] = [await freePort(), await freePort()]
  const env = {
    ...testApp,
    DATABASE_URL: database.url,
    DATA_DIR: await makePlace(),
    RATE_LIMIT_PER_MINUTE: '0',
    PORT: `${port}`,
    REALTIME_PORT: `${realtimePort}`,
    DRAIN_SECONDS: '1',
  }
  let program = await startProgram(env)
  onTestFinished(async () => {
    await program.stop()
  })
  const { api } = program
  const tenant = await makeTenant({ sql: database.sql, bus: { publish: () => undefined } })
  const { conversation } = await tenant.thread()
  const seqsOf = async () =>
    (
      await database.sql<{ seq: number }[]>`
        select seq from events where workspace_id = ${tenant.workspace.id} order by seq`
    ).map(({ seq }) => seq)
  const before = (await seqsOf()).at(-1) ?? 0

  const agent = { Authorization: `Bearer ${tenant.apiKey}` }
  const subscribers = Array.from({ length: 10 }, (_, n) => {
    const channel = n % 2 ? `private-conv-${conversation}` : `private-org-${tenant.workspace.publicId}`
    return followPersistently({ api, realtimePort }, testApp.PUSHER_APP_KEY, agent, channel, before)
  })
  onTestFinished(() => {
    for (const subscriber of subscribers) subscriber.leave()
  })

  let isOver = false
  const answered: string[] = []
  const write = async () => {
    while (!isOver) {
      const content = randomUUID()
      const post = () =>
        call(api, 'POST', `/api/v1/conversations/${conversation}/messages`, {
          body: { content },
          headers: { ...agent, 'Idempotency-Key': content },
        }).catch(() => ({ status: 0 }))
      while ((await post()).status !== 201) await pause(50)
      answered.push(content)
      await pause(30)
    }
  }
  const writers = [write(), write(), write()]
  for (let restart = 0; restart < 3; restart += 1) {
    await pause(1000)
    await end(program)
    program = await startProgram(env)
  }
  await pause(500)
  isOver = true
  await Promise.all(writers)

  const expected = (await seqsOf()).filter((seq) => seq > before)
  await expect
    .poll(() => subscribers.every(({ seqs }) => seqs.length >= expected.length), { timeout: 40_000, interval: 100 })
    .toBe(true)
  for (const { seqs, failures } of subscribers) {
    expect(failures).toEqual([])
    expect(seqs).toEqual(expected)
  }
  const rows = await database.sql<{ content: string }[]>`
    select content from messages where content = any(${answered})`
  expect(rows.map(({ content }) => content).sort()).toEqual([...answered].sort())
  expect(answered.length).toBeGreaterThan(10)
})
