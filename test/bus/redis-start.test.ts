import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { StartError } from '../../schema/errors.ts'
import { takePort } from '../support/place.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { createLog, startRedisNode } from './redis-node.ts'

const startOwn = async (options: Parameters<typeof startRedis>[0] = {}) => {
  const redis = await startRedis(options)
  onTestFinished(redis.close)
  return redis
}

/** Returns the line that a start with this address ends with. */
const refusal = async (url: string): Promise<string> => {
  const listener = { receive: () => undefined, returned: () => undefined }
  const { lines, logger } = createLog()
  const error = await createRedisBus({ url, listener, logger, metrics: createMetrics() }).catch((error) => error)
  expect(error).toBeInstanceOf(StartError)
  expect(lines).toEqual([])
  return error.message
}

test('a REDIS_URL where nobody listens is one line', async () => {
  const { port, free } = await takePort()
  await free()
  const line = `REDIS_URL: Redis cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`
  expect(await refusal(`redis://127.0.0.1:${port}`)).toBe(line)
})

test('a REDIS_URL with another password, or none, is one line that does not hold it', async () => {
  const redis = await startOwn({ password: 'right' })
  expect(await refusal(redis.url.replace('right', 'wrong'))).toMatch(
    /^REDIS_URL: Redis cannot be used: WRONGPASS (?!.*wrong).*$/,
  )
  expect(await refusal(redis.url.replace(':right@', ''))).toMatch(/^REDIS_URL: Redis cannot be used: NOAUTH .*$/)
})

test('a Redis that does not answer at the start is one line, soon', async () => {
  const redis = await startOwn()
  redis.freeze()
  const from = performance.now()
  expect(await refusal(redis.url)).toBe('REDIS_URL: Redis cannot be used: no answer for 2 seconds')
  expect(performance.now() - from).toBeLessThan(5000)
})

test.each([
  ['127.0.0.1:6379'],
  ['http://127.0.0.1:6379'],
  ['redis://127.0.0.1:6379/first'],
  ['redis://:100%@127.0.0.1:6379'],
  ['redis://a:6379,'],
  ['redis://a:6379,b:6379'],
  ['redis://a:6379,redis://b:6379,'],
])('a REDIS_URL that is no address of a Redis is one line: %s', async (url) => {
  expect(await refusal(url)).toBe(
    'REDIS_URL: Redis cannot be used: its address must look like redis://user:password@host:6379/0, or rediss:// for TLS',
  )
})

test('a database that Redis does not have is one line', async () => {
  const redis = await startOwn()
  expect(await refusal(`${redis.url}/99`)).toBe('REDIS_URL: Redis cannot be used: ERR DB index is out of range')
})

/** Answers like another Redis, so far as it is asked at the start; returns its address. */
const fakeRedis = async (answer: (command: string) => string): Promise<string> => {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      for (const [, word = ''] of `${data}`.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) socket.write(answer(word))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.close()
  })
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

test('a Redis older than 6.2 is one line with its version', async () => {
  const place = await fakeRedis((word) => (word === 'hello' ? '%1\r\n$7\r\nversion\r\n$6\r\n6.0.16\r\n' : '+OK\r\n'))
  expect(await refusal(`redis://${place}`)).toBe(
    'REDIS_URL: Redis cannot be used: 6.2 or newer is needed, this one is 6.0.16',
  )
})

test('a Redis that is older still, and repeats what it does not know, does not tell the password', async () => {
  const place = await fakeRedis((word) => `-ERR unknown command '${word}', with args: 'secret'\r\n`)
  expect(await refusal(`redis://:secret@${place}`)).toMatch(/^REDIS_URL: Redis cannot be used: .*\*\*\*/)
  const open = await fakeRedis((word) => (word === 'hello' ? "-ERR unknown command 'hello'\r\n" : '+OK\r\n'))
  expect(await refusal(`redis://${open}`)).toBe(
    'REDIS_URL: Redis cannot be used: 6.2 or newer is needed, this one is older than 6.0',
  )
})

test('rediss:// speaks TLS', async () => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.close()
  })
  const said = new Promise<Buffer>((resolve) => {
    server.on('connection', (socket) => {
      socket.once('data', (data) => {
        resolve(data)
        socket.destroy()
      })
    })
  })
  const address = server.address()
  const line = await refusal(`rediss://localhost:${typeof address === 'object' ? address?.port : ''}`)
  expect(line).toMatch(/^REDIS_URL: Redis cannot be used: .+$/)
  const hello = await said
  expect(hello[0]).toBe(22)
  expect(hello.includes('localhost')).toBe(true)
})

test('a user who may publish, subscribe and ping on the prefix is enough; one who may not subscribe is one line', async () => {
  const redis = await startOwn()
  const allow = (name: string, ...rules: string[]) =>
    askRedis(redis.url, 'ACL', 'SETUSER', name, 'on', '>pass word:@/', '-@all', ...rules)
  await allow('app', '+publish', '+subscribe', '+unsubscribe', '+ping', '&hubbub:*')
  await allow('mute', '+publish', '+unsubscribe', '+ping', '&hubbub:*')
  const as = (name: string) => `redis://${name}:${encodeURIComponent('pass word:@/')}@127.0.0.1:${redis.port}/0`
  const node = await startRedisNode({ url: as('app') })
  await node.bus.subscribe('s')
  node.bus.publish('s', 'hello')
  await expect.poll(() => node.count('published_total')).toBe(1)
  expect(await refusal(as('mute'))).toMatch(/^REDIS_URL: Redis cannot be used: NOPERM .*$/)
})

/** Runs a process that closes its bus on SIGTERM. */
const startShortLived = async (url: string): Promise<{ child: ChildProcess; output: () => string }> => {
  const script = fileURLToPath(new URL('./short-lived.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await expect.poll(() => output, { timeout: 15_000 }).toBe('open')
  return { child, output: () => output }
}

test.each(['is there', 'is frozen', 'is away'])(
  'a process that closes its bus ends by itself, where Redis %s',
  async (state) => {
    const redis = await startOwn()
    const { child, output } = await startShortLived(redis.url)
    if (state === 'is frozen') redis.freeze()
    if (state === 'is away') await redis.kill()
    const exited = once(child, 'exit')
    const from = performance.now()
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect(performance.now() - from).toBeLessThan(5000)
    expect(output()).toBe('openclosed')
  },
)
