/** A process full of subscribers: sockets that do the handshake by hand and then count frames without reading them. */

import { connect, type Socket } from 'node:net'
import { type AppCredentials, signChannel } from '../auth/channel-signature.ts'
import { answerParent } from './child.ts'

/** What this process is asked for: sockets, one for each channel; that so many frames came; that all sockets go. */
export type ClientQuestion = { open: Opening } | { arrived: { frames: number } } | { close: true }

/** Sockets to open; private channels need an app to sign for. */
type Opening = { port: number; path: string; channels: string[]; app?: AppCredentials | undefined }

/** The text frames that came since all sockets were closed last, their bytes, and the sockets that the server cut. */
export type Arrived = { frames: number; bytes: number; cut: number }

/** A socket and where it is in what the server sends: `header` bytes of a header read, `left` of a payload to come. */
type Client = {
  socket: Socket
  greeting: string | undefined
  header: number
  wide: number
  opcode: number
  size: number
  left: number
}

const atOnce = 64
const patience = 15_000
const chunk = Buffer.alloc(256 * 1024)
const clients = new Set<Client>()
const total: Arrived = { frames: 0, bytes: 0, cut: 0 }
let awaited: { frames: number; done: () => void } | undefined

const openAll = async (asked: Opening): Promise<Arrived> => {
  const waiting = asked.channels.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const channel of waiting) await open(asked, channel)
    }),
  )
  return total
}

/** Opens a socket; resolves when it is subscribed to a channel. */
const open = ({ port, path, app }: Opening, channel: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const take = (size: number): boolean => {
      if (client.greeting === undefined) countFrames(client, size)
      else if (greet(client, size, channel, app)) resolve()
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: chunk, callback: take } })
    const client: Client = { socket, greeting: '', header: 0, wide: 0, opcode: 0, size: 0, left: 0 }
    clients.add(client)
    socket.on('error', reject)
    socket.on('close', () => {
      if (clients.delete(client)) total.cut += 1
      reject(new Error('a socket was closed before it was subscribed'))
    })
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
  })

/** Subscribes once the server has greeted; returns whether the subscription is confirmed. */
const greet = (client: Client, size: number, channel: string, app?: AppCredentials): boolean => {
  const before = client.greeting ?? ''
  client.greeting = before + chunk.toString('latin1', 0, size)
  const greeted = /socket_id[^\d]+(\d+\.\d+).*\}$/s
  const id = greeted.exec(client.greeting)?.[1]
  if (id !== undefined && !greeted.test(before)) {
    const auth = app && channel.startsWith('private-') ? `,"auth":"${signChannel(app, id, channel)}"` : ''
    client.socket.write(textFrame(`{"event":"pusher:subscribe","data":{"channel":"${channel}"${auth}}}`))
  }
  if (client.greeting.includes('pusher:error')) client.socket.destroy(new Error(`refused: ${client.greeting}`))
  if (!/subscription_succeeded[^}]*\}"\}$/.test(client.greeting)) return false
  client.greeting = undefined
  return true
}

/** Writes a text frame as clients do; its mask is zero, so that masking changes nothing. */
const textFrame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const size = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([0x81, ...size, 0, 0, 0, 0]), payload])
}

const countFrames = (client: Client, size: number): void => {
  for (let at = 0; at < size; ) {
    if (client.left === 0) {
      readHeader(client, chunk[at] ?? 0)
      at += 1
      continue
    }
    const step = Math.min(client.left, size - at)
    client.left -= step
    at += step
    if (client.left > 0 || client.opcode !== 1) continue
    total.frames += 1
    total.bytes += client.size
  }
  if (awaited && total.frames >= awaited.frames) awaited.done()
}

const readHeader = (client: Client, byte: number): void => {
  client.header += 1
  if (client.header === 1) client.opcode = byte & 15
  else if (client.header > 2) client.size = client.size * 256 + byte
  else {
    client.wide = byte === 126 ? 2 : byte === 127 ? 8 : 0
    client.size = client.wide > 0 ? 0 : byte
  }
  if (client.header < 2 || client.header < 2 + client.wide) return
  client.header = 0
  client.left = client.size
}

/** Returns what has come as soon as it is that many frames, or when it is clear that they do not come. */
const arrived = (frames: number): Promise<Arrived> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(late)
      awaited = undefined
      resolve(total)
    }
    const late = setTimeout(done, patience)
    awaited = { frames, done }
    if (total.frames >= frames) done()
  })

const closeAll = (): Arrived => {
  for (const client of clients) {
    clients.delete(client)
    client.socket.resetAndDestroy()
  }
  const last = { ...total }
  Object.assign(total, { frames: 0, bytes: 0, cut: 0 })
  return last
}

answerParent((question: ClientQuestion) => {
  if ('open' in question) return openAll(question.open)
  return 'arrived' in question ? arrived(question.arrived.frames) : closeAll()
})
