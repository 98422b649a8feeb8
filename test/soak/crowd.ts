/** A process full of browsers that come and go. It is asked by its parent over IPC, and answers when all have done so. */

import { type AppCredentials, signChannel } from '../../auth/channel-signature.ts'
import { type BareConnection, maskedFrame, opcodes, openBare, upgradeRequest } from './bare-connection.ts'
import { type CrowdAnswer, type CrowdQuestion, channelsOf, isRestless, memberOf, userOf } from './crowd-plan.ts'

type Browser = { index: number; connection: BareConnection }

let place: { port: number; app: AppCredentials } | undefined
const browsers: Browser[] = []
let away: number[] = []

/** How many come at the same time. */
const atOnce = 32

const open = async (index: number): Promise<void> => {
  if (!place) throw new Error('nobody has said where')
  const { port, app } = place
  const connection = await openBare(port, upgradeRequest(`/app/${app.key}?protocol=7&client=js&version=8.6.0`))
  await connection.until(() => connection.frames.length > 0, 'greeting')
  const id = /socket_id\W+([\d.]+)/.exec(connection.frames[0] ?? '')?.[1] ?? ''
  const user = userOf(index)
  if (user !== undefined) {
    const user_data = JSON.stringify({ id: user, watchlist: ['user-r-1', 'user-q-2', 'nobody'] })
    say(connection, 'pusher:signin', { auth: signChannel(app, id, `:user::${user_data}`), user_data })
  }
  const channels = channelsOf(index)
  for (const channel of channels) {
    const channel_data = channel.startsWith('presence-') ? memberOf(index) : undefined
    say(connection, 'pusher:subscribe', { channel, auth: signChannel(app, id, channel, channel_data), channel_data })
  }
  const isIn = (): boolean =>
    connection.frames.filter((text) => text.includes('subscription_succeeded')).length === channels.length
  await connection.until(isIn, 'confirmation of every channel')
  if (!isIn()) throw new Error(`a socket was closed: ${connection.frames.join()}`)
  browsers.push({ index, connection })
}

const openAll = async (indices: readonly number[]): Promise<CrowdAnswer> => {
  const waiting = indices.values()
  let slowest = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const index of waiting) {
        const began = performance.now()
        await open(index)
        slowest = Math.max(slowest, performance.now() - began)
      }
    }),
  )
  return { slowest }
}

/** Lets one half unsubscribe, and the other go: in order, without a goodbye, by a reset, or sent away by the server. */
const leave = async (sentAway: readonly string[]): Promise<void> => {
  const leaving = browsers.filter(({ index }) => isRestless(index))
  away = leaving.map(({ index }) => index)
  const staying = browsers.filter(({ index }) => !isRestless(index))
  browsers.splice(0, browsers.length, ...staying)
  await Promise.all([
    ...staying.map(async ({ index, connection }) => {
      for (const channel of channelsOf(index)) say(connection, 'pusher:unsubscribe', { channel })
      connection.write(maskedFrame(Buffer.from('left'), opcodes.ping))
      await connection.until(() => connection.pongs.includes('left'), 'pong')
    }),
    ...leaving.map(async ({ index, connection }) => {
      const isSentAway = sentAway.includes(userOf(index) ?? '')
      if (!isSentAway && index % 3 === 0) connection.write(maskedFrame(Buffer.from([0x03, 0xe8]), opcodes.close))
      if (isSentAway || index % 3 === 0) await connection.until(() => false, 'end')
      else if (index % 3 === 1) connection.cut()
      else connection.reset()
    }),
  ])
}

const say = (connection: BareConnection, event: string, data: object): void =>
  connection.write(maskedFrame(Buffer.from(JSON.stringify({ event, data }))))

const answer = async (question: CrowdQuestion): Promise<CrowdAnswer> => {
  if ('come' in question) {
    place = question.come
    return await openAll(question.come.indices)
  }
  if ('comeBack' in question) return await openAll(away)
  if ('leave' in question) await leave(question.leave.sentAway)
  else for (const { connection } of browsers.splice(0)) connection.reset()
  return { slowest: 0 }
}

process.on('message', (question: CrowdQuestion) => {
  answer(question).then(
    (answered) => process.send?.(answered),
    (error) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
