/** A load balancer: one address in front of several nodes, each new connection to the next one that answers. */

import { connect, createServer, type Socket } from 'node:net'

export type Balancer = {
  port: number
  /** Cuts connections without a goodbye: each one with that chance. Returns how many. */
  cut(chance: number): number
  close(): Promise<void>
}

/** Opens a port that passes connections on to the ports that `nodes` names at that moment. */
export const openBalancer = async (nodes: () => number[]): Promise<Balancer> => {
  let turn = 0
  const open = new Set<Socket>()
  const clients = new Set<Socket>()
  const keep = (socket: Socket): void => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    keep(client)
    clients.add(client)
    client.on('close', () => clients.delete(client))
    client.on('error', () => client.destroy())
    const ports = nodes()
    turn += 1
    const pass = (tries: number): void => {
      const port = ports[(turn + tries) % ports.length]
      if (port === undefined || tries === ports.length || client.destroyed) {
        client.destroy()
        return
      }
      const node = connect(port, '127.0.0.1')
      node.once('error', () => pass(tries + 1))
      node.once('connect', () => {
        keep(node)
        node.removeAllListeners('error')
        node.on('error', () => client.destroy())
        node.on('close', () => client.destroy())
        client.on('close', () => node.destroy())
        client.pipe(node)
        node.pipe(client)
        client.resume()
      })
    }
    pass(0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut: (chance) => {
      const chosen = [...clients].filter(() => Math.random() < chance)
      for (const client of chosen) client.resetAndDestroy()
      return chosen.length
    },
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
