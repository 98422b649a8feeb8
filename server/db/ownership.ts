/** Who the embedded Postgres belongs to: one program, or, where none runs, the commands that use it together. */

import { setTimeout as pause } from 'node:timers/promises'
import { isUnavailable, openSql, type Sql } from './sql.ts'

/** Who uses it: the program itself, or a command beside it. */
export type Role = 'program' | 'command'

// Any numbers do, as long as they are the same everywhere.
const ownerLock = 4_821_000
const usersLock = 4_821_003

/** Opens the one connection whose session holds the locks; its name tells others who does. `onLost`: it has ended. */
export const openLocks = (url: string, role: Role, onLost: () => void): Sql =>
  openSql(url, { max: 1, name: `hubbub ${role} ${process.pid}`, onClose: onLost })

/** Makes the session the owner, until it ends; else tells who is, or 'gone' where that one is just leaving. */
export const takeOwnership = async (locks: Sql): Promise<'us' | 'gone' | { role: Role; pid: number }> => {
  const [row] = await locks<{ taken: boolean }[]>`select pg_try_advisory_lock(${ownerLock}) as taken`
  if (row?.taken) return 'us'
  const [owner] = await locks<{ name: string }[]>`
    select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.objid = ${ownerLock} and l.granted`
  const [, role, pid] = /^hubbub (program|command) (\d+)$/.exec(owner?.name ?? '') ?? []
  return role === undefined ? 'gone' : { role: role === 'program' ? 'program' : 'command', pid: Number(pid) }
}

/** Keeps other commands from ending Postgres while the session lasts. */
export const joinUsers = async (locks: Sql): Promise<void> => {
  await locks`select pg_advisory_lock_shared(${usersLock})`
}

/** Returns whether a command that is done is the last user: then no program runs, and nobody else can join. */
export const leaveUsers = async (locks: Sql): Promise<boolean> => {
  try {
    await locks`select pg_advisory_unlock_shared(${usersLock})`
    for (;;) {
      const owner = await takeOwnership(locks)
      if (owner === 'us') break
      if (owner !== 'gone' && owner.role === 'program') return false
      // Another command is asking the same question.
      await pause(20)
    }
    const [row] = await locks<{ alone: boolean }[]>`select pg_try_advisory_lock(${usersLock}) as alone`
    return row?.alone ?? false
  } catch (error) {
    // Another command was the last one, and has ended it since we left.
    if (isUnavailable(error)) return false
    throw error
  }
}
