/** The embedded Postgres: one cluster per data directory, started when none runs there, else the running one is used. */
import { attachOrLaunch } from './attach.ts'
import { findBinaries } from './binaries.ts'
import { makeCluster } from './cluster.ts'
import { databaseUrl } from './connection.ts'
import { stopPostmaster } from './stop.ts'
import { clusterUser, systemUser } from './system-user.ts'

/** A running embedded Postgres; `reused` when it ran already. `stop` ends it whoever started it. */
export type EmbeddedPostgres = { url: string; pid: number; reused: boolean; stop: () => Promise<void> }

/** Starts Postgres in `dataDir/postgres` or attaches to the one that runs there; `onExit` hears of its unexpected end. */
export async function startEmbeddedPostgres({
  dataDir,
  password,
  say,
  onExit,
}: {
  dataDir: string
  password: string
  say: (line: string) => void
  onExit?: (line: string) => void
}): Promise<EmbeddedPostgres> {
  const user = await clusterUser(dataDir, await systemUser())
  const binaries = await findBinaries({ user, say })
  const cluster = await makeCluster({ dataDir, password, user, binaries })

  let serving = false
  const { pid, port, reused } = await attachOrLaunch({
    ...{ dataDir, cluster, password, user, binaries },
    onExit: (line) => {
      if (serving) onExit?.(line)
    },
  })
  serving = true
  if (reused) say(`Postgres was running already (pid ${pid}) and is reused.`)

  let stopped: Promise<void> | undefined
  const stop = () => {
    serving = false
    stopped ??= stopPostmaster(pid, cluster)
    return stopped
  }
  return { url: databaseUrl(port, password, 'hubbub'), pid, reused, stop }
}
