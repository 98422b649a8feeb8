/**
 * What a hostile client or server may try: it is answered, and nobody else notices. `npm run soak` tries five times as
 * much; FUZZ_SEED tries once more what has failed.
 */

import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type BareConnection, maskedFrame, opcodes, openBare, upgradeRequest } from './bare-connection.ts'
import { handshake, noise } from './hostile-connections.ts'
import { hostileFrame, writeFrame } from './hostile-frames.ts'
import { type HostileRequest, hostileRequest, writeRequest } from './hostile-requests.ts'
import { attackers, type Neighbours, startNeighbours, victim } from './neighbours.ts'

const { SOAK, FUZZ_SAID = SOAK ? '10000' : '2000', FUZZ_SEED } = process.env

/** How many frames and requests there are to be in all. */
const wanted = Number(FUZZ_SAID)
const patience = SOAK ? 300_000 : 60_000

let neighbours: Neighbours
let said = 0
const escaped: unknown[] = []
const keepEscaped = (error: unknown): void => void escaped.push(error)

beforeEach(async () => {
  process.on('uncaughtException', keepEscaped)
  process.on('unhandledRejection', keepEscaped)
  neighbours = await startNeighbours()
})

afterEach(async () => {
  process.off('uncaughtException', keepEscaped)
  process.off('unhandledRejection', keepEscaped)
  await neighbours.server.stop()
})

/** Says that something holds for whatever is tried, and that nobody has noticed it then. */
const holds = async <T>(
  runs: number,
  arbitrary: fc.Arbitrary<T>,
  attempt: (value: T) => Promise<void>,
): Promise<void> => {
  const property = fc.asyncProperty(arbitrary, async (value) => {
    const { server, expectUnmoved, expectTraceless } = neighbours
    try {
      await attempt(value)
      await expectUnmoved()
      await expectTraceless()
      expect(escaped).toEqual([])
    } catch (error) {
      // What went wrong once must not make every smaller attempt fail too.
      escaped.splice(0)
      await server.stop()
      if (neighbours.server === server) neighbours = await startNeighbours()
      throw error
    }
  })
  await fc.assert(property, {
    numRuns: Math.ceil(runs),
    // Looking for a smaller case may take longer than there is time.
    interruptAfterTimeLimit: patience * 0.6,
    markInterruptAsFailure: true,
    ...(FUZZ_SEED !== undefined && { seed: Number(FUZZ_SEED) }),
  })
  await neighbours.expectServing()
}

/** The apps that sockets are opened for. Of the victim's the attacker knows the key, and tries a secret of its own. */
const targets = [...attackers, { ...victim, secret: attackers[0].secret }] as const

/** How a socket ends: in order, without a goodbye, in the middle of a frame, or before anything was answered. */
const endings = ['close', 'cut', 'half', 'hasty close', 'hasty cut'] as const

const session = fc.record({
  sockets: fc.array(
    fc.record({
      target: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.constant(1) },
        { weight: 2, arbitrary: fc.constant(2) },
      ),
      ending: fc.constantFrom(...endings),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  acts: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ on: fc.nat(2), frame: hostileFrame }) },
      { weight: 2, arbitrary: fc.record({ target: fc.nat(2), request: hostileRequest }) },
    ),
    { minLength: 1, maxLength: 16, size: 'max' },
  ),
})

test(
  'no frame and no request, in whatever order, ends the process, is answered with an error of ours, or is heard elsewhere',
  async () => {
    await holds(wanted / 6, session, async ({ sockets, acts }) => {
      const opened = await Promise.all(
        sockets.map(async ({ target, ending }) => {
          const app = targets[target] ?? targets[0]
          const socket = await openSocket(`/app/${app.key}?protocol=7&client=js&version=8.6.0`)
          return { socket, app, ending, socketId: socketIdOf(socket), isReadable: true }
        }),
      )
      for (const act of acts) {
        said += 1
        if ('request' in act) await ask(act.request, targets[act.target] ?? targets[0])
        else {
          const speaker = opened[act.on % opened.length]
          if (!speaker) continue
          speaker.socket.write(writeFrame(act.frame, speaker))
          // What follows is taken for the rest of it.
          if (act.frame.carriage.kind === 'unmasked') speaker.isReadable = false
        }
      }
      const [hasty, patient] = [opened.filter(isHasty), opened.filter((one) => !isHasty(one))]
      for (const one of hasty) await end(one)
      // While the others listen: what they must not hear would come now.
      await neighbours.expectUnmoved()
      for (const one of patient) {
        if (one.isReadable) await settle(one.socket)
        await end(one)
      }
    })
    expect(said).toBeGreaterThanOrEqual(wanted)
  },
  patience,
)

test(
  'no path, query or header of an upgrade harms anybody',
  async () => {
    await holds(wanted / 10, handshake, async ({ path, query, lines }) => {
      said += 1
      const socket = await openBare(neighbours.server.port, upgradeRequest(path + query, lines))
      await socket.until(
        () => (socket.status === 101 ? socket.frames.length > 0 : socket.isAnswered),
        'answer to an upgrade',
      )
      if (socket.status !== 101) expectBelow500(socket)
      socket.cut()
      expectFit(socket)
    })
  },
  patience,
)

test(
  'no bytes that are neither HTTP nor frames harm anybody',
  async () => {
    await holds(wanted / 20, noise, async ({ before, bytes }) => {
      said += 1
      const isSocket = before === 'upgrade'
      const connection = isSocket
        ? await openSocket(`/app/${attackers[0].key}?protocol=7`)
        : await openBare(neighbours.server.port, Buffer.from(before))
      connection.write(bytes)
      connection.end()
      await connection.until(() => !isSocket && connection.isAnswered, 'end of a connection that was ended')
      if (!isSocket) expectBelow500(connection)
      connection.cut()
      expectFit(connection)
    })
  },
  patience,
)

/** Opens a socket; resolves when it is greeted. */
const openSocket = async (path: string): Promise<BareConnection> => {
  const socket = await openBare(neighbours.server.port, upgradeRequest(path))
  await socket.until(() => socket.frames.length > 0, 'greeting')
  return socket
}

const greeting = z.object({
  data: z.string().transform((data) => z.object({ socket_id: z.string() }).parse(JSON.parse(data))),
})

const socketIdOf = ({ frames: [first = ''] }: BareConnection): string =>
  greeting.parse(JSON.parse(first)).data.socket_id

type Opened = { socket: BareConnection; ending: (typeof endings)[number]; isReadable: boolean }

const isHasty = ({ ending }: Opened): boolean => ending.startsWith('hasty')

const end = async ({ socket, ending, isReadable }: Opened): Promise<void> => {
  if (ending === 'half') socket.write(maskedFrame(Buffer.from('{"event":"pusher:ping"}')).subarray(0, 9))
  if (isReadable && ending.endsWith('close')) {
    socket.write(maskedFrame(Buffer.from([0x03, 0xe8]), opcodes.close))
    await socket.until(() => false, 'end of a socket that was closed')
  }
  socket.cut()
  expectFit(socket)
}

/** Waits until all that was sent is read, or the socket has ended. */
const settle = async (socket: BareConnection): Promise<void> => {
  socket.write(maskedFrame(Buffer.from('settled'), opcodes.ping))
  await socket.until(() => socket.pongs.includes('settled'), 'pong')
}

/** Sends a request and, where it is whole, waits for its answer. */
const ask = async (asked: HostileRequest, app: (typeof targets)[number]): Promise<void> => {
  const { pieces, isHead, isAnswerDue } = writeRequest(asked, app, victim.id)
  const [first = Buffer.alloc(0), ...others] = pieces
  const connection = await openBare(neighbours.server.port, first, isHead)
  for (const piece of others) connection.write(piece)
  if (isAnswerDue) {
    await connection.until(() => connection.isAnswered, 'answer')
    expect(connection.status).toBeDefined()
  }
  expectBelow500(connection)
  neighbours.expectDiscreet(connection.received())
  connection.cut()
}

const expectBelow500 = ({ status = 0, received }: BareConnection): void => {
  // 505 is the word of uWS for a request line that it cannot read.
  if (status >= 500 && status !== 505) expect.fail(received())
}

const frame = z.object({ event: z.string() })

/** What a server says of itself; all else begins otherwise. */
const ours =
  /^(pusher:(connection_established|error|pong|subscription_error|signin_success|cache_miss)|pusher_internal:(subscription_succeeded|subscription_count|member_added|member_removed|watchlist_events))$/

/** Says that what came over a socket are frames, and none of them tells what it should not. */
const expectFit = (connection: BareConnection): void => {
  for (const text of connection.frames) {
    const { event } = frame.parse(JSON.parse(text))
    if (event.startsWith('pusher')) expect(event).toMatch(ours)
  }
  neighbours.expectDiscreet(connection.received())
}
