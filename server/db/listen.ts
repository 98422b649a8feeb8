/** Listens to a channel of Postgres on a connection of its own, for as long as the program runs. */

import { setTimeout as wait } from 'node:timers/promises'
import postgres from 'postgres'

/**
 * Calls `onNotice` with each payload; `onState(true)` when listening begins and `onState(false)` as soon as the
 * connection is gone. Comes back by itself. (The driver's own `listen` gives up where Postgres is away for longer.)
 */
export const listen = (
  url: string,
  channel: string,
  { onNotice, onState }: { onNotice: (payload: string) => void; onState: (listening: boolean) => void },
): { close(): Promise<void> } => {
  let closed = false
  let connecting = false
  const options = {
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    // See openSql: nothing catches what that query throws.
    fetch_types: false,
    connection: { application_name: 'hubbub listener' },
    onnotify: (_channel: string, payload: string) => onNotice(payload),
    onclose: () => {
      onState(false)
      void connect()
    },
  }
  // A variable of its own: the driver takes onnotify, its types do not name it.
  const sql = postgres(url, options)

  const connect = async (): Promise<void> => {
    if (connecting) return
    connecting = true
    while (!closed) {
      const listening = await sql`listen ${sql(channel)}`.then(
        () => true,
        () => false,
      )
      if (listening) break
      await wait(250, undefined, { ref: false })
    }
    connecting = false
    if (!closed) onState(true)
  }

  void connect()
  return {
    close: async () => {
      closed = true
      await sql.end({ timeout: 1 })
    },
  }
}
