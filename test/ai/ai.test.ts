/** Asking the AI: where it is, what it is sent, and that whatever goes wrong with it is one clear error. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HubbubError, StartError } from '../../schema/errors.ts'
import { type AiOutcome, createAi, type Prompt } from '../../server/ai/ai.ts'
import { type FakeAi, saying, startAi } from '../support/ai.ts'
import type { Reply } from '../support/receiver.ts'

let fake: FakeAi
beforeEach(async () => {
  fake = await startAi()
})
afterEach(() => fake.stop())

const prompt: Prompt = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Grüße, \ud800' },
]

const ask = async (env: Partial<typeof fake.env> = {}, patience = 10_000, signal?: AbortSignal) =>
  await createAi({ ...fake.env, ...env }, { patience })?.complete(prompt, signal)

/** Returns the error of a question that fails. */
const failure = async (asked: Promise<unknown>): Promise<HubbubError> => {
  const error = await asked.then(
    (answer) => new Error(`answered ${String(answer)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof HubbubError)) throw error
  return error
}

describe('the AI', () => {
  it('is off unless it has an address and a model', () => {
    expect(createAi({})).toBeUndefined()
    expect(createAi({ AI_BASE_URL: 'http://127.0.0.1:1' })).toBeUndefined()
    expect(createAi({ AI_MODEL: 'm', AI_API_KEY: 'k' })).toBeUndefined()
  })

  it('is sent the prompt and the model as chat completions have it, with the key as Bearer', async () => {
    fake.says('Done.')
    expect(await ask()).toBe('Done.')
    const [request] = fake.requests
    expect(request).toMatchObject({ method: 'POST', path: '/v1/chat/completions' })
    expect(request?.headers).toMatchObject({ authorization: 'Bearer sk-fake-0123456789' })
    expect(request?.headers['content-type']).toBe('application/json')
    expect(JSON.parse(request?.body ?? '')).toEqual({
      model: 'fake-1',
      messages: [prompt[0], { role: 'user', content: 'Grüße, \ud800' }],
    })
  })

  it('needs no key where it asks for none, and takes one that came with the end of a line', async () => {
    await ask({ AI_API_KEY: '' })
    expect(fake.requests[0]?.headers).not.toHaveProperty('authorization')
    await ask({ AI_API_KEY: 'sk-1\n' })
    expect(fake.requests[1]?.headers.authorization).toBe('Bearer sk-1')
  })

  it('is found with and without a slash, a version, or a path of its own', async () => {
    for (const [path, asked] of [
      ['', '/v1/chat/completions'],
      ['/', '/v1/chat/completions'],
      ['/v1', '/v1/chat/completions'],
      ['/v1/', '/v1/chat/completions'],
      ['/openai/v1', '/openai/v1/chat/completions'],
      ['/v1beta/openai/', '/v1beta/openai/chat/completions'],
      ['/v1?api-version=2', '/v1/chat/completions?api-version=2'],
    ]) {
      await ask({ AI_BASE_URL: fake.url + path })
      expect([path, fake.requests.at(-1)?.path]).toEqual([path, asked])
    }
  })

  it('that serves completions right at its address is found there, and asked there from then on', async () => {
    fake.answer(({ path }) => (path === '/chat/completions' ? saying('Here.') : 404))
    const ai = createAi({ ...fake.env, AI_BASE_URL: fake.url })
    expect([await ai?.complete(prompt), await ai?.complete(prompt)]).toEqual(['Here.', 'Here.'])
    const paths = fake.requests.map(({ path }) => path)
    expect(paths).toEqual(['/v1/chat/completions', '/chat/completions', '/chat/completions'])
  })

  it('may answer in parts', async () => {
    fake.answer(saying([{ type: 'text', text: 'One, ' }, { type: 'other' }, { type: 'text', text: 'two.' }]))
    expect(await ask()).toBe('One, two.')
  })

  it('that cannot be asked as it is configured ends the start', () => {
    const start = (env: Partial<typeof fake.env>) => () => createAi({ ...fake.env, ...env })
    expect(start({ AI_API_KEY: 'ge heim' })).toThrow(StartError)
    expect(start({ AI_API_KEY: 'ge heim' })).not.toThrow(/heim/)
    expect(start({ AI_BASE_URL: 'https://user:geheim@example.com' })).toThrow(StartError)
    expect(start({ AI_BASE_URL: 'https://user:geheim@example.com' })).not.toThrow(/geheim/)
  })
})

describe('how a request ends, and when, is told:', () => {
  it.each<[AiOutcome, Reply]>([
    ['answered', saying('Done.')],
    ['refused', 429],
    ['unusable', { status: 200, body: '<html>' }],
    ['unusable', 'endless'],
    ['timeout', 'hang'],
    ['unreachable', 'cut'],
  ])('%s (%j)', async (outcome, reply) => {
    fake.answer(reply)
    const told: [AiOutcome, number][] = []
    const ai = createAi(fake.env, { patience: 300, onEnded: (...how) => told.push(how) })
    await ai?.complete(prompt).catch(() => undefined)
    expect(told).toEqual([[outcome, expect.any(Number)]])
    const [[, seconds] = ['', 0]] = told
    expect(seconds).toBeGreaterThan(outcome === 'timeout' ? 0.29 : 0)
  })

  it('stopped, where nobody waits any more', async () => {
    fake.answer('hang')
    const told: AiOutcome[] = []
    const end = new AbortController()
    const ai = createAi(fake.env, { onEnded: (outcome) => told.push(outcome) })
    const asked = failure(ai?.complete(prompt, end.signal) ?? Promise.resolve())
    await fake.received(1)
    end.abort()
    await asked
    expect(told).toEqual(['stopped'])
  })
})

describe('an AI that fails is unavailable, says what to do, and its key is in no word and no log:', () => {
  const body = (text: string, status = 200): Reply => ({ status, body: text })
  it.each<[string, Reply, RegExp]>([
    ['it refuses the key', body('bad key sk-fake-0123456789', 401), /401.*check AI_API_KEY/],
    ['it knows no such model', body('{"error":"no model"}', 404), /404.*AI_MODEL/],
    ['it limits requests', 429, /429.*later/],
    ['it breaks', body('sk-fake-0123456789', 500), /500.*try again/],
    ['it sends elsewhere', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }, /302.*AI_BASE_URL/],
    ['it answers no JSON', body('<html>sk-fake-0123456789'), /no usable answer/],
    ['it answers other JSON', body('{"choices":[]}'), /no usable answer/],
    ['it answers nothing', body(''), /no usable answer/],
    ['it says nothing', saying(' \n'), /no usable answer/],
    ['it refuses to say anything', saying(null), /no usable answer/],
    ['it pours without an end', 'endless', /more than 256 kB/],
    ['it breaks off', 'cut', /cannot be reached/],
  ])('%s', async (_, reply, message) => {
    fake.answer(reply)
    const { code, message: said, cause } = await failure(ask())
    expect([code, said]).toEqual(['unavailable', expect.stringMatching(message)])
    expect(`${said} ${String(cause)}`).not.toContain('sk-fake')
  })

  it.each<Reply>(['hang', 'trickle'])('it does not end (%s)', async (reply) => {
    fake.answer(reply)
    expect((await failure(ask({}, 200))).message).toBe('The AI did not answer within 0.2 s: try again.')
    await fake.settled()
  })

  it('nobody is there', async () => {
    const { message } = await failure(ask({ AI_BASE_URL: 'http://127.0.0.1:1/v1' }))
    expect(message).toMatch(/cannot be reached.*AI_BASE_URL/)
  })

  it('nobody waits for it any more', async () => {
    fake.answer('hang')
    const end = new AbortController()
    const asked = failure(ask({}, 60_000, end.signal))
    await fake.received(1)
    end.abort()
    expect((await asked).code).toBe('unavailable')
    await fake.settled()
    expect((await failure(ask({}, 60_000, end.signal))).code).toBe('unavailable')
    expect(fake.requests).toHaveLength(1)
  })
})
