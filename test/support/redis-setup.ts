/** Finds the Redis that the tests need, and starts the one that they share. */

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startRedis } from './redis.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of a Redis that all tests share: each keeps to subjects of its own. */
    redisUrl: string
    /** The redis-server that tests start where they kill and freeze one. */
    redisBinary: string
  }
}

export default async function setup(project: TestProject) {
  const { REDIS_URL } = process.env
  const binary = recent(findBinary() ?? installBinary())
  project.provide('redisBinary', binary)
  if (REDIS_URL) {
    project.provide('redisUrl', REDIS_URL)
    return
  }
  const shared = await startRedis({ binary })
  project.provide('redisUrl', shared.url)
  return () => shared.close()
}

const findBinary = (): string | undefined =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'redis-server'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

/** Returns the binary if it can run a Redis Cluster with sharded pub/sub; ends the run where it cannot. */
const recent = (binary: string): string => {
  const version = /v=(\d+)\S*/.exec(run(binary, ['--version']).stdout)
  if (Number(version?.[1]) >= 7) return binary
  say(`The tests need redis-server 7 or newer, for the Redis Cluster: ${binary} is ${version?.[0].slice(2)}`)
  process.exit(1)
}

const install = 'apt-get install -y --no-install-recommends redis-server'

/** Installs redis-server where that needs nobody's leave; ends the run with what to do where it cannot. */
const installBinary = (): string => {
  const hasApt = run('apt-get', ['--version']).status === 0
  if (!hasApt) return giveUp(process.platform === 'darwin' ? 'brew install redis' : undefined)
  if (process.getuid?.() !== 0) return giveUp(`sudo apt-get update && sudo ${install}`)
  say(`The tests need redis-server, which is not here: installing it with ${install}.`)
  const [program = '', ...args] = install.split(' ')
  // A list that could not be updated may still do.
  run(program, ['update'])
  const { status, stderr } = run(program, args)
  if (status !== 0) return giveUp(`apt-get update && ${install}`, stderr)
  // The package starts a service on Redis's own port. The tests never use that one, and nobody asked for it.
  if (existsSync('/run/systemd/system')) run('systemctl', ['disable', '--now', 'redis-server'])
  return findBinary() ?? giveUp(`apt-get update && ${install}`)
}

const run = (program: string, args: string[]) =>
  spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })

const giveUp = (command: string | undefined, output = ''): never => {
  const what = process.env.REDIS_URL
    ? 'redis-server beside REDIS_URL, to kill and freeze one of their own'
    : 'redis-server'
  const how = command === undefined ? 'install 7 or newer' : `run ${command}`
  say(`${output}The tests need ${what}; it is not on the PATH: ${how}`)
  process.exit(1)
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}
