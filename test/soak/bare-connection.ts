/** A connection written to byte by byte: it says what no library would say, and keeps all that it is answered. */

import { once } from 'node:events'
import { connect } from 'node:net'

export type BareConnection = {
  /** The status of the answer; undefined as long as none has come. */
  readonly status: number | undefined
  /** Whether the answer is complete; with 101 it is, and frames follow. */
  readonly isAnswered: boolean
  /** The text frames that came so far. */
  readonly frames: readonly string[]
  /** The payloads of the pongs that came so far. */
  readonly pongs: readonly string[]
  /** Whether it has ended, on either side. */
  readonly isOver: boolean
  /** All that came, as it came. */
  received(): string
  write(bytes: Uint8Array): void
  /** Waits for something to be so, or for the end; rejects if neither comes. */
  until(isSo: () => boolean, what: string): Promise<void>
  /** Says the end of its own part. */
  end(): void
  /** Cuts it without a goodbye. */
  cut(): void
  /** Cuts it so that the other side is told of a fault. */
  reset(): void
}

/** How long the server may take to answer, in ms; less than after what it hangs up on its own. */
const patience = 8000

/** Opens a connection and writes to it at once. An answer to HEAD has no body. */
export const openBare = async (port: number, first: Uint8Array, isHead = false): Promise<BareConnection> => {
  const frames: string[] = []
  const pongs: string[] = []
  const waiters = new Set<() => void>()
  let unread: Buffer = Buffer.alloc(0)
  let status: number | undefined
  let missing = Number.POSITIVE_INFINITY
  let isOver = false
  let received = ''

  const wake = (): void => {
    for (const look of waiters) look()
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
    unread = Buffer.concat([unread, chunk])
    if (status === undefined) readHead()
    if (status === 101) readFrames()
    wake()
  })
  socket.on('close', () => {
    isOver = true
    wake()
  })

  const readHead = (): void => {
    const end = unread.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = unread.toString('latin1', 0, end)
    unread = unread.subarray(end + 4)
    const said = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? Number.NaN)
    if (said === 100) {
      readHead()
      return
    }
    status = said
    missing = isHead || said === 101 ? 0 : Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  }

  /** Reads the frames of a server: unmasked and whole. */
  const readFrames = (): void => {
    while (unread.length >= 2) {
      const short = (unread[1] ?? 0) & 127
      const header = short === 126 ? 4 : short === 127 ? 10 : 2
      if (unread.length < header) return
      const size = short === 126 ? unread.readUInt16BE(2) : short === 127 ? Number(unread.readBigUInt64BE(2)) : short
      if (unread.length < header + size) return
      const opcode = (unread[0] ?? 0) & 15
      const payload = unread.toString('utf8', header, header + size)
      if (opcode === opcodes.text) frames.push(payload)
      if (opcode === opcodes.pong) pongs.push(payload)
      if (opcode === opcodes.close) {
        isOver = true
        socket.end(maskedFrame(unread.subarray(header, header + size), opcodes.close))
      }
      unread = unread.subarray(header + size)
    }
  }

  const until = (isSo: () => boolean, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        waiters.delete(look)
        reject(new Error(`no ${what} within ${patience} ms, but: ${received.slice(-2000)}`))
      }, patience)
      const look = (): void => {
        if (!isOver && !isSo()) return
        clearTimeout(late)
        waiters.delete(look)
        resolve()
      }
      waiters.add(look)
      look()
    })

  await once(socket, 'connect')
  socket.write(first)
  return {
    get status() {
      return status
    },
    get isAnswered() {
      return status !== undefined && unread.length >= missing
    },
    frames,
    pongs,
    get isOver() {
      return isOver
    },
    received: () => received,
    write: (bytes) => {
      if (socket.writable) socket.write(bytes)
    },
    until,
    end: () => {
      socket.end()
    },
    cut: () => {
      socket.destroy()
    },
    reset: () => {
      socket.resetAndDestroy()
    },
  }
}

/** Writes the request for a WebSocket. `path` goes out as it is, and so do further lines of the head. */
export const upgradeRequest = (path: string, lines: readonly string[] = usualLines): Buffer =>
  Buffer.from([`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...lines, '', ''].join('\r\n'), 'latin1')

/** What a client says in the head beside the path. */
export const usualLines: readonly string[] = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Writes a frame as clients do. Its mask is zero, which changes nothing. */
export const maskedFrame = (payload: Uint8Array, opcode: number = opcodes.text, isLast = true): Buffer => {
  const { length } = payload
  const size = Buffer.alloc(length < 126 ? 1 : length < 65_536 ? 3 : 9)
  if (length < 126) size[0] = 0x80 | length
  else if (length < 65_536) {
    size[0] = 0xfe
    size.writeUInt16BE(length, 1)
  } else {
    size[0] = 0xff
    size.writeBigUInt64BE(BigInt(length), 1)
  }
  return Buffer.concat([Buffer.from([(isLast ? 0x80 : 0) | opcode]), size, Buffer.alloc(4), payload])
}
