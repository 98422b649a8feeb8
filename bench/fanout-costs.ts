/** What a server pays for its sockets and for what is published to them, measured from outside. */

import { setTimeout as sleep } from 'node:timers/promises'
import { eventFrame } from '../schema/frames.ts'
import type { Clients } from './clients.ts'
import { cpuOf, quiet, residentOf } from './cpu.ts'
import { openPublisher, publishRequest } from './publisher.ts'
import type { Server } from './servers.ts'

/** µs of CPU for each delivery: all that the server does, and without what it does for one socket as well. */
export type DeliveryCost = { whole: number; pure: number }

const name = 'message'
const data = JSON.stringify({
  id: 'msg_0123456789abcdef',
  text: 'On it: give me five minutes for an answer. '.repeat(4),
})
const frameBytes = (channel: string): number => Buffer.byteLength(eventFrame(channel, name, data))

/** uWS sends what one turn of its loop published to a socket with one call, up to 32 frames; the second exceeds that. */
const burstSizes = { burst: 32, largeBurst: 64 }

/** Measures publishing to one channel: in bursts to some sockets, and one event at a time to others. */
export const oneChannelCosts = async (
  server: Server,
  clients: Clients,
  sockets: { burst: number; single: number },
): Promise<{ burst: DeliveryCost; largeBurst: DeliveryCost; single: DeliveryCost }> => {
  const channel = 'lobby'
  const request = publishRequest(server.events, { name, channel, data }, server.app)
  const publisher = await openPublisher(server.port, burstSizes.largeBurst)

  const publish = async (events: number, atOnce: number) => {
    for (let published = 0; published < events; published += atOnce) {
      // All of a burst is there when the server's loop turns: how much it finds is not left to chance.
      if (atOnce > 1) process.kill(server.pid, 'SIGSTOP')
      const sent = publisher.send(Array<Buffer>(atOnce).fill(request))
      if (atOnce > 1) process.kill(server.pid, 'SIGCONT')
      await sent
      await clients.arrived(atOnce, frameBytes(channel))
    }
  }
  const costOf = async (events: number, atOnce: number) => {
    await publish(atOnce, atOnce)
    await quiet(server.pid)
    const before = cpuOf(server.pid)
    await publish(events, atOnce)
    return (cpuOf(server.pid) - before) / events
  }
  const onSockets = async (count: number, measure: () => Promise<number[]>) => {
    await clients.open(server.port, server.path, Array<string>(count).fill(channel))
    const costs = await measure()
    await clients.close()
    return costs
  }
  const perDelivery = (toAll = Number.NaN, toOne = Number.NaN, count: number): DeliveryCost => ({
    whole: toAll / count,
    pure: (toAll - toOne) / (count - 1),
  })

  try {
    const { burst, largeBurst } = burstSizes
    const toOne = await onSockets(1, async () => {
      await publish(3200, burst)
      return [await costOf(3200, burst), await costOf(3200, largeBurst), await costOf(300, 1)]
    })
    const bursts = await onSockets(sockets.burst, async () => [
      await costOf(3200, burst),
      await costOf(512, largeBurst),
    ])
    const singles = await onSockets(sockets.single, async () => [await costOf(60, 1)])
    return {
      burst: perDelivery(bursts[0], toOne[0], sockets.burst),
      largeBurst: perDelivery(bursts[1], toOne[1], sockets.burst),
      single: perDelivery(singles[0], toOne[2], sockets.single),
    }
  } finally {
    publisher.close()
  }
}

/** Measures sockets with a channel each: µs to connect and subscribe one, its bytes when idle, µs of a publish. */
export const manyChannelsCosts = async (
  server: Server,
  clients: Clients,
  sockets: number,
): Promise<{ connect: number; memory: number; publish: number }> => {
  const channels = Array.from({ length: sockets }, (_, n) => `room-${String(n).padStart(5, '0')}`)
  const requests = channels.map((channel) => publishRequest(server.events, { name, channel, data }, server.app))
  const publisher = await openPublisher(server.port, burstSizes.burst)
  const publishToAll = async (times: number, to = requests) => {
    for (let n = 0; n < times; n += 1) {
      await publisher.send(to)
      await clients.arrived(1, frameBytes('room-00000'))
    }
    return times * to.length
  }

  try {
    const few = Math.ceil(sockets * 0.3)
    await clients.open(server.port, server.path, channels.slice(0, few))
    await publishToAll(2, requests.slice(0, few))
    await clients.close()
    // As many again refill what was freed: what comes on top of them is what sockets take.
    await clients.open(server.port, server.path, channels.slice(0, few))
    await quiet(server.pid)
    await sleep(1000)

    const resident = residentOf(server.pid)
    const unconnected = cpuOf(server.pid)
    await clients.open(server.port, server.path, channels.slice(few))
    const connect = (cpuOf(server.pid) - unconnected) / (sockets - few)
    await sleep(2000)
    const memory = (residentOf(server.pid) - resident) / (sockets - few)

    await publishToAll(1)
    await quiet(server.pid)
    const unpublished = cpuOf(server.pid)
    const events = await publishToAll(3)
    const publish = (cpuOf(server.pid) - unpublished) / events
    await clients.close()
    return { connect, memory, publish }
  } finally {
    publisher.close()
  }
}
