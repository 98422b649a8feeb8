/** Runs one short program to its end, as another system user where one is given. */
import { spawn } from 'node:child_process'

/** The system user a program runs as. */
export type RunAs = { uid: number; gid: number }

/** How a program ended; `error` is the system's code when it could not even be started, such as EACCES. */
export type Ended = { ok: boolean; error: string | undefined; output: string }

/** The whole environment of what is run here: PG* variables and locales of the caller must not leak in. */
export const plainEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** Runs a program and returns how it ended, never throwing; `output` is stdout and stderr together. */
export function run(
  file: string,
  args: string[],
  { user, cwd = '/' }: { user?: RunAs | undefined; cwd?: string } = {},
) {
  return new Promise<Ended>((done) => {
    let output = ''
    const collect = (chunk: Buffer) => {
      output += chunk.toString()
    }
    const fail = (error: unknown) => done({ ok: false, error: errorCode(error) ?? String(error), output })
    try {
      const child = spawn(file, args, { ...user, cwd, env: plainEnv, stdio: ['ignore', 'pipe', 'pipe'] })
      child.stdout.on('data', collect)
      child.stderr.on('data', collect)
      child.on('error', fail)
      child.on('close', (code) => done({ ok: code === 0, error: undefined, output }))
    } catch (error) {
      // Node throws some spawn errors (EACCES on the pipes, EAGAIN) instead of emitting them.
      fail(error)
    }
  })
}

/** Returns the code of a system or database error, such as ENOENT or 57P03. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
