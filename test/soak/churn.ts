/** Thousands of browsers that come and go for a long time: afterwards the program is as it was. */

import PusherServer from 'pusher'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { shop } from '../support/pusher-nodes.ts'
import { maskedFrame, openBare, upgradeRequest } from './bare-connection.ts'
import { type CrowdQuestion, isRestless } from './crowd-plan.ts'
import { type Crowd, startCrowd } from './crowds.ts'
import { expectFiles, type Memory, startWatchedProgram, type WatchedProgram } from './watched-program.ts'

const { SOAK } = process.env
const { sockets, rounds, patience } = SOAK
  ? { sockets: 5000, rounds: 10, patience: 290_000 }
  : { sockets: 300, rounds: 10, patience: 90_000 }

const browsers = Array.from({ length: sockets }, (_, index) => index)
const quiet = browsers.filter((index) => !isRestless(index)).length

/** Some of those who go are sent away by their server. */
const sentAway = ['r-0', 'r-1', 'r-2', 'r-3', 'r-4'].map((name) => `user-${name}`)

/** Runs the rounds over a transport. */
export const churns = (transport: 'uws' | 'ws'): void => {
  describe(`over ${transport}`, () => {
    let program: WatchedProgram
    let crowds: Crowd[] = []
    let server: PusherServer

    beforeAll(async () => {
      expectFiles(sockets)
      program = await startWatchedProgram(transport)
      crowds = [startCrowd(), startCrowd()]
      const { id: appId, key, secret } = shop
      server = new PusherServer({ appId, key, secret, host: '127.0.0.1', port: `${program.port}` })
    }, 120_000)

    afterAll(async () => {
      await Promise.all(crowds.map(({ stop }) => stop()))
      await program?.stop()
    })

    const ask = async (question: (crowd: number) => CrowdQuestion): Promise<number> => {
      const answers = await Promise.all(crowds.map((crowd, index) => crowd.ask(question(index))))
      return Math.max(...answers.map(({ slowest }) => slowest))
    }

    const come = (): Promise<number> =>
      ask((crowd) => ({
        come: { port: program.port, app: shop, indices: browsers.filter((index) => index % crowds.length === crowd) },
      }))

    const leave = async (): Promise<void> => {
      const asked = ask(() => ({ leave: { sentAway } }))
      for (const user of sentAway) await server.terminateUserConnections(user)
      await asked
    }

    /** Cuts all of them at once; returns how many ms the slowest of those needed who came meanwhile. */
    const cut = async (): Promise<number> => {
      let isOver = false
      const cutting = ask(() => ({ cut: true })).then(async () => {
        // A visitor may be there.
        await expect.poll(async () => (await program.counts()).sockets, soon).toBeLessThan(2)
        isOver = true
      })
      let slowest = 0
      do slowest = Math.max(slowest, await visit())
      while (!isOver)
      await cutting
      return slowest
    }

    /** Connects and joins a room that many are leaving; returns how many ms that took. */
    const visit = async (): Promise<number> => {
      const began = performance.now()
      const socket = await openBare(program.port, upgradeRequest(`/app/${shop.key}?protocol=7`))
      await socket.until(() => socket.frames.length > 0, 'greeting')
      const id = /socket_id\W+([\d.]+)/.exec(socket.frames[0] ?? '')?.[1] ?? ''
      const channel = 'presence-room-0'
      const data = { channel, ...server.authorizeChannel(id, channel, { user_id: 'a visitor' }) }
      socket.write(maskedFrame(Buffer.from(JSON.stringify({ event: 'pusher:subscribe', data }))))
      const isIn = (): boolean => socket.frames.some((text) => text.includes('subscription_succeeded'))
      await socket.until(isIn, 'confirmation')
      expect(isIn()).toBe(true)
      socket.cut()
      return performance.now() - began
    }

    const expectNoChannels = async (): Promise<void> => {
      const response = await server.get({ path: '/channels' })
      expect(await response.json()).toEqual({ channels: {} })
    }

    test(
      `${sockets} sockets that come and go ${rounds} times leave no memory, no count and no channel behind`,
      async () => {
        const figures: Figures[] = []
        for (let round = 1; round <= rounds; round += 1) {
          const slowest = await come()
          expect(await program.counts()).toMatchObject({
            sockets,
            subscriptions: expect.toSatisfy((n) => n >= 2 * sockets),
          })

          await leave()
          await expect.poll(program.counts, soon).toEqual({ sockets: quiet, subscriptions: 0 })
          await expectNoChannels()

          await ask(() => ({ comeBack: true }))
          await expect.poll(async () => (await program.counts()).sockets, soon).toBe(sockets)

          const delay = await cut()
          expect(delay).toBeLessThan(1000)
          await expect.poll(program.counts, soon).toEqual({ sockets: 0, subscriptions: 0 })
          await expectNoChannels()
          figures.push({ round, slowest, delay, ...(await program.memory()) })
        }
        if (SOAK) process.stdout.write(`\n${sockets} sockets over ${transport}\n${tableOf(figures)}\n`)

        expect(program.output()).not.toMatch(/"level":(50|60)/)
        const [first = 0, ...others] = figures.map(({ inUse }) => inUse)
        for (const inUse of others) expect(inUse).toBeLessThan(1.1 * first)
        // Once all code is warm, far less than a forgotten socket takes.
        expect(leftPerSocket(figures)).toBeLessThan(256)
      },
      patience,
    )
  })
}

const soon = { timeout: 20_000, interval: 20 }

type Figures = Memory & { round: number; slowest: number; delay: number }

/** Returns how many bytes each socket that came in the second half of the rounds has left behind. */
const leftPerSocket = (figures: readonly Figures[]): number => {
  const half = Math.floor(figures.length / 2)
  // Not all garbage goes at once: what is in use is the least of a few rounds.
  const least = (end: number): number => Math.min(...figures.slice(end - 3, end).map(({ inUse }) => inUse))
  return (least(figures.length) - least(half)) / ((figures.length - half) * (2 * sockets - quiet))
}

const columns = ['round', 'in use (MB)', 'RSS (MB)', 'slowest of all at once (ms)', 'slowest during the cut (ms)']

const tableOf = (figures: readonly Figures[]): string =>
  [
    columns,
    ...figures.map(({ round, inUse, rss, slowest, delay }) => [
      `${round}`,
      (inUse / 1e6).toFixed(2),
      (rss / 1e6).toFixed(1),
      slowest.toFixed(0),
      delay.toFixed(0),
    ]),
  ]
    .map((cells) => cells.map((cell, column) => cell.padStart(columns[column]?.length ?? 0)).join('  '))
    .join('\n')
