/** Under which addresses clients reach this installation. */

import type { FastifyRequest } from 'fastify'

/** What pusher-js needs to connect; `wsPath` only where there is a path in front of that of the protocol. */
export type RealtimeAddress = { key: string; host: string; port: number; forceTLS: boolean; wsPath?: string }

/** What tells how a client has reached us. */
type Asked = Pick<FastifyRequest, 'protocol' | 'host' | 'hostname'>

export type Addresses = {
  /** Returns the base address of the API, such as `http://127.0.0.1:3000`. */
  api(request: Asked): string
  realtime(request: Asked): RealtimeAddress
}

/**
 * Takes the addresses from the configuration, else from each request. `realtimePort` tells the port of the sockets,
 * `hasTls` whether it speaks TLS itself, `pathPrefix` the path in front of theirs.
 */
export const createAddresses = ({
  publicUrl,
  realtimePublicUrl,
  realtimePort,
  hasTls = false,
  pathPrefix = '',
  appKey,
}: {
  publicUrl: string | undefined
  realtimePublicUrl: string | undefined
  realtimePort: () => number
  hasTls?: boolean
  pathPrefix?: string | undefined
  appKey: string
}): Addresses => ({
  api: (request) => publicUrl?.replace(/\/+$/, '') ?? `${request.protocol}://${request.host}`,
  realtime: (request) => {
    if (realtimePublicUrl === undefined) {
      const forceTLS = hasTls || request.protocol === 'https'
      return { key: appKey, host: request.hostname, port: realtimePort(), forceTLS, ...atPath(pathPrefix) }
    }
    const { hostname, port, protocol, pathname } = new URL(realtimePublicUrl)
    const forceTLS = protocol === 'https:' || protocol === 'wss:'
    return {
      key: appKey,
      host: hostname,
      port: port === '' ? (forceTLS ? 443 : 80) : Number(port),
      forceTLS,
      ...atPath(pathname.replace(/\/+$/, '') || pathPrefix),
    }
  },
})

const atPath = (wsPath: string): { wsPath?: string } => (wsPath === '' ? {} : { wsPath })
