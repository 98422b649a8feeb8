/** Uploads: what is taken, and what happens to those that are broken off, slow, silent, killed or never sent. */

import { randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { renderMuroError } from '../../server/faces/muro/errors.ts'
import { createApp } from '../../server/http/app.ts'
import { acceptUploads, refuseOtherBodies } from '../../server/http/uploads.ts'
import { startRemovingUnsent } from '../../server/jobs/remove-unsent.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, muroError } from '../support/http.ts'
import { makePlace } from '../support/place.ts'
import { startProgram } from '../support/program.ts'
import type { Tenant } from '../support/tenant.ts'
import {
  download,
  filePart,
  multipart,
  multipartType,
  openUpload,
  part,
  type TestFile,
  upload,
  uploadRaw,
} from '../support/uploads.ts'

let api: Api
let tenant: Tenant
let muro: Client
let bearer: { Authorization: string }
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  bearer = { Authorization: `Bearer ${tenant.apiKey}` }
})

const uploads = (url = api.url) => `${url}/api/v1/attachments`
const put = (file: TestFile, headers = {}) => upload(uploads(), { ...bearer, ...headers }, file)
const putRaw = (...parts: Buffer[]) => uploadRaw(uploads(), bearer, multipart(...parts))
const invalid = (param: string) => muroError('invalid_request_error', 'invalid', param)
const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
const times = (count: number) => Array.from({ length: count }, (_, index) => index)
const mebi = 1024 * 1024

/** The files of the workspace, and whether all their bytes are there. */
const filesOf = async ({ workspace }: Tenant) => [
  ...(await api.database.sql<{ id: string; whole: boolean }[]>`
    select a.public_id as id, coalesce(sum(length(p.bytes)), 0) = a.size as whole
      from attachments a left join attachment_chunks p on p.attachment_id = a.id
     where a.workspace_id = ${workspace.id} group by a.id order by a.id`),
]

describe('an upload', () => {
  it('comes as multipart/form-data with its boundary, and as nothing else', async () => {
    for (const type of ['application/json', 'text/plain', 'multipart/form-data', 'multipart/mixed; boundary=x', '']) {
      const answer = await call(api.url, 'POST', '/api/v1/attachments', {
        key: tenant.apiKey,
        body: multipart(part(filePart(), 'x')),
        headers: { 'Content-Type': type },
      })
      expect([type, answer.status]).toEqual([type, 415])
      expect(answer.body).toEqual(muroError('invalid_request_error', 'unsupported_media_type'))
      expect(answer.text).toContain('multipart/form-data')
    }
    for (const type of ['multipart/form-data; charset=utf-8', 'multipart/form-data; boundary=another']) {
      const answer = await uploadRaw(uploads(), { ...bearer, 'Content-Type': type }, multipart(part(filePart(), 'x')))
      expect([type, answer.status, answer.body]).toEqual([type, 400, invalid('file')])
    }
    const { conversation } = await tenant.thread()
    const elsewhere = `/conversations/${conversation}/messages`
    const answer = await muro.post(elsewhere, multipart(part(filePart(), 'x')), { 'Content-Type': multipartType })
    expect(answer.status).toBe(415)
    expect(await filesOf(tenant)).toEqual([])
  })

  it('is one part with that name, and not empty', async () => {
    const text = part(['Content-Disposition: form-data; name="note"'], 'hello')
    const file = part(filePart(), 'hello')
    const bodies: [string, Uint8Array][] = [
      ['nothing', Buffer.alloc(0)],
      ['no part', multipart()],
      ['no multipart', Buffer.from('hello')],
      ['an empty file', multipart(part(filePart(), ''))],
      ['a text', multipart(part(['Content-Disposition: form-data; name="file"'], 'hello'))],
      ['another name', multipart(part(filePart('filename="f"', 'text/plain', 'picture'), 'hello'))],
      ['two files', multipart(file, file)],
      ['a field before it', multipart(text, file)],
      ['a field after it', multipart(file, text)],
      ['a name that is too long', multipart(part(filePart(`filename="${'x'.repeat(256)}"`), 'hello'))],
      ['no end', multipart(file).subarray(0, -20)],
      ['half a file', file.subarray(0, -4)],
      ['half a head', file.subarray(0, 60)],
      ['a name of two lines', multipart(part(filePart(`filename*=UTF-8''a%0D%0ASet-Cookie:%20x=1`), 'hello'))],
      ['a name of every object', multipart(part(filePart('filename="f"', 'text/plain', '__proto__'), 'hello'))],
    ]
    for (const [what, body] of bodies) {
      const answer = await uploadRaw(uploads(), bearer, body)
      expect([what, answer.status]).toEqual([what, 400])
      expect(answer.body).toEqual(invalid('file'))
    }
    expect(await filesOf(tenant)).toEqual([])
    expect((await putRaw(part(filePart(`filename="${'😀'.repeat(255)}"`), 'x'))).status).toBe(201)
  })

  it('that is answered before it has ended leaves the connection in order', async () => {
    const answers = await Promise.all(
      times(8).map(async (turn) =>
        turn % 2
          ? await putRaw(part(filePart('filename="f"', 'text/plain', 'other'), randomBytes(3 * 1024 * 1024)))
          : await put({ bytes: randomBytes(1024 * 1024) }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([201, 400, 201, 400, 201, 400, 201, 400])
  })

  it('P6: with an Idempotency-Key is one file, also where the boundary differs; with other bytes it is 409', async () => {
    const key = { 'Idempotency-Key': 'up-1' }
    const first = await put({ bytes: every }, key)
    const again = await put({ bytes: every }, key)
    expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([201, first.text, 'true'])
    for (const other of [{ bytes: 'x' }, { bytes: every, name: 'other' }, { bytes: every, type: 'image/png' }]) {
      expect((await put(other, key)).body).toEqual(
        muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
      )
    }
    const answers = await Promise.all(times(6).map(() => put({ bytes: every }, { 'Idempotency-Key': 'up-2' })))
    expect(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size).toBe(1)
    for (const { body } of answers.filter(({ status }) => status !== 201)) {
      expect(body).toEqual(muroError('invalid_request_error', 'idempotency_in_progress'))
    }
    expect(await filesOf(tenant)).toHaveLength(2)
  })

  it('that is broken off leaves nothing, and the program goes on', async () => {
    for (const size of [0, 1, 100_000, mebi]) {
      const broken = await openUpload(uploads(), bearer)
      if (size > 0) broken.write(randomBytes(size))
      broken.cut()
      await broken.answer
    }
    expect((await put({ bytes: 'x' })).status).toBe(201)
    expect(await filesOf(tenant)).toHaveLength(1)
  })

  it('P7: that is cut or bent anywhere is refused or taken, and never ends in a 5xx', async () => {
    const body = multipart(part(filePart('filename="a\\"b.txt"'), randomBytes(300)))
    const bent = times(120).map((turn) => {
      const copy = Buffer.from(turn % 2 ? body : body.subarray(0, Math.floor((body.length * turn) / 120)))
      if (turn % 3 === 0 && copy.length > 0)
        copy[Math.floor(Math.random() * copy.length)] = Math.floor(Math.random() * 256)
      return copy
    })
    const answers = await Promise.all(bent.map((copy) => uploadRaw(uploads(), bearer, copy)))
    for (const [index, { status }] of answers.entries()) {
      expect([bent[index]?.toString('hex'), [201, 400].includes(status)]).toEqual([bent[index]?.toString('hex'), true])
    }
    for (const file of await filesOf(tenant)) expect(file.whole).toBe(true)
    expect((await put({ bytes: 'x' })).status).toBe(201)
  })

  it('P7: with a large part that is none is not waited for, and none of it is kept', async () => {
    const nothing = (...lines: string[]) => part(lines, randomBytes(300_000))
    const file = part(filePart(), 'x')
    const strange = nothing('X-Nothing: here')
    for (const parts of [
      [nothing('x')],
      [nothing('Content-Disposition: attachment; name="file"; filename="f"')],
      [strange],
      [strange, file],
      [file, strange],
    ]) {
      // Whether the parser can pass over it depends on how its bytes arrive.
      const answer = await uploadRaw(uploads(), bearer, multipart(...parts))
      expect([parts.length, answer.status]).toEqual([parts.length, expect.toBeOneOf(parts[1] ? [201, 400] : [400])])
      if (answer.status === 201) expect(answer.body).toMatchObject({ size: 1 })
    }
  })

  it('may take its time, longer than the program itself may, and 30 of them are in nobody’s way', async () => {
    const slow = await Promise.all(times(30).map(() => openUpload(uploads(), bearer)))
    let sent = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        for (const one of slow) one.write('slow ')
        sent += 1
        if (sent < 11) return
        clearInterval(timer)
        resolve()
      }, 500)
    })
    expect((await muro.get('/conversations')).status).toBe(200)
    for (const one of slow) one.end()
    for (const answer of await Promise.all(slow.map((one) => one.answer))) {
      expect(answer).toMatch(/^HTTP\/1.1 201 /)
      expect(answer).toContain(`"size":${sent * 5}`)
    }
  })

  /** An application that does nothing but take uploads; `running` counts those that it has not done with. */
  const startTaking = async (silence: number) => {
    const app = createApp({
      logger: pino({ level: 'silent' }),
      trustProxy: undefined,
      use: undefined,
      renderers: [['/', renderMuroError]],
    })
    const taking = { url: '', running: 0, begun: 0 }
    await app.register(async (room) => {
      const receive = await acceptUploads(room, { silence })
      room.post('/', { preParsing: refuseOtherBodies }, async (request, reply) => {
        taking.running += 1
        taking.begun += 1
        return await receive(request, reply, async () => 'kept').finally(() => {
          taking.running -= 1
        })
      })
    })
    taking.url = await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    return taking
  }

  it('whose sender is silent is refused', async () => {
    const { url } = await startTaking(100)
    const silent = await openUpload(url, {})
    silent.write('and then nothing')
    expect(await silent.answer).toMatch(/^HTTP\/1.1 400 .*its sender is silent/s)
    expect((await uploadRaw(url, {}, multipart(part(filePart(), 'x')))).status).toBe(200)
  })

  it('whose sender is gone is given up at once, however early that was', async () => {
    const taking = await startTaking(60_000)
    for (const turn of times(60)) {
      const gone = await openUpload(taking.url, {})
      if (turn % 3 === 0) await expect.poll(() => taking.begun, { interval: 1 }).toBeGreaterThan(turn / 3)
      gone.cut()
    }
    await expect.poll(() => taking.running).toBe(0)
    expect(taking.begun).toBeGreaterThanOrEqual(20)
  })

  it('P1: that its program dies of is there as a whole or not at all, and leaves nothing on the disk', async () => {
    const directory = await makePlace()
    const TMPDIR = join(directory, 'tmp')
    await mkdir(TMPDIR)
    const env = { DATABASE_URL: api.database.url, DATA_DIR: directory, RATE_LIMIT_PER_MINUTE: '0', TMPDIR }
    const program = await startProgram(env)
    const begun = await openUpload(uploads(program.api), bearer)
    begun.write(randomBytes(mebi))
    const kept = times(8).map(() =>
      upload(uploads(program.api), bearer, { bytes: randomBytes(6 * mebi) }).catch(() => undefined),
    )
    const first = await Promise.race(kept)
    expect(first?.status).toBe(201)
    await program.kill()
    const answered = (await Promise.all(kept)).flatMap((answer) => (answer?.status === 201 ? [idOf(answer)] : []))
    const files = await filesOf(tenant)
    expect(files.map(({ id }) => id)).toEqual(expect.arrayContaining(answered))
    expect(files.every(({ whole }) => whole)).toBe(true)
    expect(files.length).toBeLessThan(9)
    expect(await readdir(TMPDIR)).toEqual([])
  })
})

it('P7: 30 readers that do not read are in nobody’s way, and one that reads gets all of it', async () => {
  const bytes = randomBytes(10 * mebi)
  const id = idOf(await put({ bytes }))
  const { hostname, port } = new URL(api.url)
  const readers = await Promise.all(
    times(30).map(
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(Number(port), hostname)
          socket.write(
            `GET /api/v1/attachments/${id} HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.Authorization}\r\n\r\n`,
          )
          socket.once('readable', () => resolve(socket))
        }),
    ),
  )
  onTestFinished(() => {
    for (const socket of readers) socket.destroy()
  })
  expect((await download(`${uploads()}/${id}`, bearer)).bytes.equals(bytes)).toBe(true)
  expect((await muro.get('/conversations')).status).toBe(200)
})

it('what nobody has sent for a day is removed, and what was sent stays', async () => {
  const { conversation } = await tenant.thread()
  const ids = await Promise.all(times(23).map(async () => idOf(await put({ bytes: 'x' }))))
  const [sent = '', young = ''] = ids
  await muro.post(`/conversations/${conversation}/messages`, { attachment_ids: [sent] })
  await api.database.sql`
    update attachments set created_at = created_at - interval '25 hours' where public_id <> ${young}`
  const job = startRemovingUnsent({ context: { sql: api.database.sql }, logger: pino({ level: 'silent' }) })
  onTestFinished(() => job.stop())
  await expect.poll(async () => (await filesOf(tenant)).map(({ id }) => id).sort()).toEqual([sent, young].sort())
  const gone = await muro.post(`/conversations/${conversation}/messages`, { attachment_ids: [ids[2]] })
  expect(gone.body).toEqual(muroError('invalid_request_error', 'invalid', 'attachment_ids'))
  expect((await download(`${uploads()}/${ids[2]}`, bearer)).status).toBe(404)
  expect((await download(`${uploads()}/${sent}`, bearer)).bytes.toString()).toBe('x')
})
