/** A Redis of a test's own, which can be frozen, killed and brought back, and an operator's view of any Redis. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'

export type TestRedis = {
  url: string
  port: number
  /** Starts it again where it was, with the password it had or another one. */
  start(options?: { password?: string }): Promise<void>
  /** Ends it in order. */
  stop(): Promise<void>
  /** Ends it without a goodbye. */
  kill(): Promise<void>
  /** Stops it from doing anything, while its connections stay open. */
  freeze(): void
  resume(): void
  /** Ends it and removes what it wrote. */
  close(): Promise<void>
}

/** Starts a Redis on a free port of this machine. `binary` is the one that the set-up of the tests has found. */
export const startRedis = async ({
  binary = inject('redisBinary'),
  password = '',
}: {
  binary?: string
  password?: string
} = {}): Promise<TestRedis> => {
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-redis-'))
  const fixed = ['--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no']
  const launch = (port: number, { password: required = password } = {}) =>
    launchRedis(binary, ['--port', `${port}`, ...fixed, '--requirepass', required])
  let { child, port } = await launchAnywhere(launch)
  const killChild = () => child.kill('SIGKILL')
  process.once('exit', killChild)

  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return {
    url: `redis://${password && `:${password}@`}127.0.0.1:${port}`,
    port,
    start: async (options) => {
      child = await launch(port, options)
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    freeze: () => {
      child.kill('SIGSTOP')
    },
    resume: () => {
      child.kill('SIGCONT')
    },
    close: async () => {
      await end('SIGKILL')
      process.off('exit', killChild)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Sends one command and returns what Redis answers, as it is on the wire. */
export const askRedis = async (url: string, ...words: string[]): Promise<string> => {
  const { hostname, port, password } = new URL(url)
  const socket = connect(Number(port), hostname)
  const commands = [...(password ? [['AUTH', password]] : []), words, ['QUIT']]
  socket.write(commands.map((command) => [`*${command.length}`, ...command.map(asBulk), ''].join('\r\n')).join(''))
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk
  return answer
}

const asBulk = (word: string): string => `$${Buffer.byteLength(word)}\r\n${word}`

const launchRedis = async (binary: string, args: string[]): Promise<ChildProcess> => {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  const ready = new Promise<'ready'>((resolve) => {
    child.stdout.on('data', (chunk) => {
      printed += chunk
      if (printed.includes('Ready to accept connections')) resolve('ready')
    })
  })
  if ((await Promise.race([ready, once(child, 'exit')])) !== 'ready') throw new Error(`Redis ended:\n${printed}`)
  return child
}

/** Launches on a port that was free a moment ago; another process may have been quicker. */
const launchAnywhere = async (launch: (port: number) => Promise<ChildProcess>, tries = 5) => {
  const port = await freePort()
  try {
    return { child: await launch(port), port }
  } catch (error) {
    if (tries === 1) throw error
    return launchAnywhere(launch, tries - 1)
  }
}

/**
 * Returns a free port that the system gives to nobody by itself: while a Redis is down nothing else comes to its port,
 * and nobody who tries to reach it there is connected to himself.
 */
const freePort = async (): Promise<number> => {
  const port = 10_000 + Math.floor(Math.random() * 20_000)
  const server = createServer()
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!isFree) return freePort()
  await new Promise((done) => server.close(done))
  return port
}
