/** Under which addresses clients reach this installation. */

import type { FastifyRequest } from 'fastify'

/** What pusher-js needs to connect. */
export type RealtimeAddress = { key: string; host: string; port: number; forceTLS: boolean }

export type Addresses = {
  /** Returns the base address of the API, such as `http://127.0.0.1:3000`. */
  api(request: FastifyRequest): string
  realtime(request: FastifyRequest): RealtimeAddress
}

/** Takes the addresses from the configuration, else from each request. `realtimePort` is the port of the sockets. */
export const createAddresses = ({
  publicUrl,
  realtimePublicUrl,
  realtimePort,
  appKey,
}: {
  publicUrl: string | undefined
  realtimePublicUrl: string | undefined
  realtimePort: number
  appKey: string
}): Addresses => ({
  api: (request) => publicUrl?.replace(/\/+$/, '') ?? `${request.protocol}://${request.host}`,
  realtime: (request) => {
    if (realtimePublicUrl === undefined) {
      return { key: appKey, host: request.hostname, port: realtimePort, forceTLS: request.protocol === 'https' }
    }
    const { hostname, port, protocol } = new URL(realtimePublicUrl)
    const forceTLS = protocol === 'https:' || protocol === 'wss:'
    return { key: appKey, host: hostname, port: port === '' ? (forceTLS ? 443 : 80) : Number(port), forceTLS }
  },
})
