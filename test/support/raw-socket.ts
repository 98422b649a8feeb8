/** A raw WebSocket client that keeps what it gets, in order, and waits for it. */

import { WebSocket } from 'ws'

/** A frame as it came; `data` is as on the wire, mostly JSON text. */
export type Frame = { event: string; channel?: string; data?: unknown }

export type RawSocket = {
  /** Every frame so far that no wait has passed over. */
  readonly frames: Frame[]
  /** Takes the next frame. */
  next(): Promise<Frame>
  /** Takes the next frame with this event name (and on this channel); those before it are dropped. */
  waitFor(event: string, channel?: string): Promise<Frame>
  /** Resolves when the socket is closed. */
  closed: Promise<{ code: number; reason: string }>
  send(frame: unknown): void
  /** Sends exactly this. */
  sendRaw(text: string | Uint8Array): void
  /** Asks for a pong and returns every frame that came before it: a way to see that nothing (more) was said. */
  settle(): Promise<Frame[]>
  close(): void
  /** Stops reading, as a client does whose network is stuck; resume reads again. */
  pause(): void
  resume(): void
  /** Cuts the connection without a goodbye. */
  terminate(): void
}

const waitLimit = 5000

/** Opens a socket; resolves when it is open, and rejects when it is not let in at all. */
export const openRawSocket = async (url: string, headers: Record<string, string> = {}): Promise<RawSocket> => {
  const socket = new WebSocket(url, { perMessageDeflate: false, headers })
  const frames: Frame[] = []
  const waiters = new Set<() => void>()

  socket.on('message', (message, isBinary) => {
    if (isBinary) throw new Error('a binary frame came')
    frames.push(readFrame(message.toString()))
    for (const wake of waiters) wake()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => socket.terminate())

  const take = (wanted: string, found: () => number): Promise<Frame> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiters.delete(look)
        reject(new Error(`no ${wanted} within ${waitLimit} ms, got ${JSON.stringify(frames)}`))
      }, waitLimit)
      const look = (): void => {
        const index = found()
        const frame = frames[index]
        if (!frame) return
        frames.splice(0, index + 1)
        clearTimeout(timer)
        waiters.delete(look)
        resolve(frame)
      }
      waiters.add(look)
      look()
    })

  const waitFor = (event: string, channel?: string): Promise<Frame> =>
    take(channel === undefined ? event : `${event} on ${channel}`, () =>
      frames.findIndex((frame) => frame.event === event && (channel === undefined || frame.channel === channel)),
    )

  const sendRaw = (text: string | Uint8Array): void => socket.send(text)

  return {
    frames,
    next: () => take('frame', () => (frames.length > 0 ? 0 : -1)),
    waitFor,
    closed,
    send: (frame) => sendRaw(JSON.stringify(frame)),
    sendRaw,
    settle: async () => {
      const before: Frame[] = []
      sendRaw('{"event":"pusher:ping","data":{}}')
      for (;;) {
        const frame = await take('pusher:pong', () => (frames.length > 0 ? 0 : -1))
        if (frame.event === 'pusher:pong') return before
        before.push(frame)
      }
    },
    close: () => socket.close(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    terminate: () => socket.terminate(),
  }
}

/** Returns the data of a frame, out of its JSON text. */
export const dataOf = ({ data }: Frame): unknown => (typeof data === 'string' ? JSON.parse(data) : data)

const readFrame = (text: string): Frame => {
  const frame: unknown = JSON.parse(text)
  if (!isFrame(frame)) throw new Error(`not a frame: ${text}`)
  return frame
}

const isFrame = (value: unknown): value is Frame =>
  typeof value === 'object' && value !== null && 'event' in value && typeof value.event === 'string'
