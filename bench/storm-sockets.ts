/** Subscribers that recover, thousands of them in a process of their own: they connect, are cut, and all come back at once. */

import { Agent, request } from 'node:http'
import { WebSocket } from 'ws'
import { answerParent } from './child.ts'

/** Who connects where: each key has as many sockets on its channel as all others. */
export type StormQuestion =
  | {
      connect: {
        sockets: number
        api: number
        realtime: number
        path: string
        keys: { key: string; channel: string }[]
      }
    }
  | { comeBack: true }

/** How it went: how many were given what they missed, and after how many ms the last was. */
export type StormAnswer = { sockets: number; recovered: number; last: number }

type Subscriber = { key: string; channel: string; seen: number; socket: WebSocket | undefined }

type Told = { event: string; data?: string; channel?: string }

const agent = new Agent({ keepAlive: true, maxSockets: 64 })
let place = { api: 0, realtime: 0, path: '' }
let subscribers: Subscriber[] = []

answerParent<StormQuestion>(async (question): Promise<StormAnswer> => {
  const begun = performance.now()
  if ('connect' in question) {
    const { sockets, keys, ...rest } = question.connect
    place = rest
    subscribers = Array.from({ length: sockets }, (_, n) => {
      const { key, channel } = keys[n % keys.length] ?? { key: '', channel: '' }
      return { key, channel, seen: -1, socket: undefined }
    })
    // A few at a time: this is not yet the storm.
    for (let n = 0; n < sockets; n += 50) await Promise.all(subscribers.slice(n, n + 50).map(subscribe))
    return { sockets, recovered: 0, last: performance.now() - begun }
  }
  for (const { socket } of subscribers) socket?.terminate()
  const outcomes = await Promise.all(subscribers.map(subscribe))
  return {
    sockets: subscribers.length,
    recovered: outcomes.filter(Boolean).length,
    last: performance.now() - begun,
  }
})

/** Connects, authorizes and subscribes; resolves with whether what was missed was given, false where nothing was asked for. */
const subscribe = (subscriber: Subscriber): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${place.realtime}${place.path}`, { perMessageDeflate: false })
    subscriber.socket = socket
    const asked = subscriber.seen
    socket.on('error', reject)
    socket.on('message', async (message) => {
      const { event, data }: Told = JSON.parse(String(message))
      const told = JSON.parse(data ?? '{}')
      if (event === 'pusher:connection_established') {
        const { auth, channel_data } = await authorize(subscriber, told.socket_id)
        const { channel } = subscriber
        socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth, channel_data } }))
      } else if (event === 'pusher_internal:subscription_succeeded') {
        if (typeof told.seq === 'number') subscriber.seen = told.seq
        if (asked < 0) resolve(false)
      } else if (event === 'hubbub:recovery') {
        subscriber.seen = told.to
        resolve(told.recovered)
      } else if (typeof told.seq === 'number') subscriber.seen = told.seq
    })
  })

const authorize = (
  { key, channel, seen }: Subscriber,
  socketId: string,
): Promise<{ auth: string; channel_data: string }> =>
  new Promise((resolve, reject) => {
    const since = seen < 0 ? {} : { since: `${seen}` }
    const body = new URLSearchParams({ socket_id: socketId, channel_name: channel, ...since }).toString()
    const asked = request(
      {
        host: '127.0.0.1',
        port: place.api,
        path: '/api/v1/realtime/auth',
        method: 'POST',
        agent,
        headers: {
          Authorization: `Bearer ${key}`,
          'Content-Type': 'application/x-www-form-urlencoded',
          'Content-Length': Buffer.byteLength(body),
        },
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve(JSON.parse(text)))
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
