/** A transport alone, without the realtime side: tells what reached its handlers. */

import { onTestFinished } from 'vitest'
import type { HttpRequest, Transport, TransportOptions, UpgradeRequest } from '../../realtime/transport/transport.ts'
import { createUwsTransport } from '../../realtime/transport/uws.ts'
import { createWsTransport } from '../../realtime/transport/ws.ts'
import { createTestLogger } from './start-realtime.ts'

type Options = Partial<TransportOptions> & { idle?: number }

/** Both transports by their names. */
export const transports: [name: string, create: (options: TransportOptions & { idle?: number }) => Transport][] = [
  ['uws', createUwsTransport],
  ['ws', createWsTransport],
]

/** Who asked for a socket, as it was when it was opened. */
export type Asker = Pick<UpgradeRequest, 'path' | 'origin' | 'address' | 'isSecure'>

/**
 * Opens a transport for one test. It greets each socket with `hello`, gives back each frame, and answers each request
 * with its method and the size of its body.
 */
export const openTransport = async (
  create: (options: TransportOptions & { idle?: number }) => Transport,
  options: Options = {},
) => {
  const logger = createTestLogger()
  const transport = create({ maxFrame: 1024, sendBuffer: 64 * 1024, logger, ...options })
  const askers: Asker[] = []
  const requests: HttpRequest[] = []
  const nothing = () => undefined
  const port = await transport.listen(
    {
      open: (wire, { path, origin, address, isSecure }) => {
        askers.push({ path, origin, address, isSecure })
        wire.send('hello')
        return wire
      },
      message: (wire, frame) => wire.send(frame),
      http: (request) => {
        requests.push(request)
        return { status: 200, headers: {}, body: `${request.method} ${request.body.length}` }
      },
      ...{ binary: nothing, drain: nothing, dropped: nothing, close: nothing },
    },
    { host: '127.0.0.1', port: 0 },
  )
  onTestFinished(() => {
    transport.stop()
    transport.close()
  })
  return { port, transport, logger, askers, requests }
}
