/** The limit to compare with: the least that uWebSockets.js needs to serve the same sockets and the same requests. */

import { loadUws } from '../realtime/transport/uws.ts'
import { answerParent } from './child.ts'

const uws = loadUws()
const app = uws.App()
let opened = 0

app.ws('/app/*', {
  maxPayloadLength: 32 * 1024,
  maxBackpressure: 1024 * 1024,
  idleTimeout: 120,
  sendPingsAutomatically: true,
  compression: uws.DISABLED,
  open: (socket) => {
    opened += 1
    socket.send(
      `{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"${opened}.${opened}\\",\\"activity_timeout\\":120}"}`,
    )
  },
  message: (socket, message) => {
    const { data } = JSON.parse(Buffer.from(message).toString())
    socket.subscribe(data.channel)
    socket.send(`{"event":"pusher_internal:subscription_succeeded","channel":"${data.channel}","data":"{}"}`)
  },
})

app.post('/apps/:id/events', (res) => {
  let body = ''
  let aborted = false
  res.onAborted(() => {
    aborted = true
  })
  res.onData((chunk, isLast) => {
    body += Buffer.from(chunk).toString()
    if (!isLast || aborted) return
    const { name, channels, data } = JSON.parse(body)
    for (const channel of channels) {
      app.publish(channel, `{"event":"${name}","channel":"${channel}","data":${JSON.stringify(data)}}`)
    }
    res.cork(() => {
      res.writeHeader('Content-Type', 'application/json')
      res.end('{}')
    })
  })
})

answerParent(
  () =>
    new Promise((resolve, reject) => {
      app.listen('127.0.0.1', 0, 1, (token) => {
        if (token) resolve({ port: uws.us_socket_local_port(token) })
        else reject(new Error('the bare server found no port'))
      })
    }),
)
