/** What every bus between processes must do beside; each implementation that has nodes runs this suite. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../realtime/bus/bus.ts'
import { allKinds } from './contract.ts'
import { createRecorder } from './recorder.ts'

/** Runs the suite on nodes that `join` makes: all that join hear each other. They are closed after each test. */
export const nodesContract = (name: string, join: (listener: BusListener) => Promise<Bus>): void => {
  describe(name, () => {
    let opened: Bus[] = []

    const start = async (...subjects: string[]) => {
      const recorder = createRecorder()
      const bus = await join(recorder.listener)
      opened.push(bus)
      await Promise.all(subjects.map(bus.subscribe))
      return { ...recorder, bus }
    }

    afterEach(async () => {
      await Promise.all(opened.map((bus) => bus.close()))
      opened = []
    })

    test('nodes hear each other, and each hears itself once', async () => {
      const [one, two] = await Promise.all([start('s'), start('s')])
      one.bus.publish('s', 'from one')
      await two.hears('from one')
      two.bus.publish('s', 'from two')
      // An echo of its own message would have come before it.
      await one.hears('from two')
      expect(one.messages()).toEqual(['from one', 'from two'])
      one.bus.publish('s', 'done')
      await two.hears('done')
      expect(two.messages()).toEqual(['from one', 'from two', 'done'])
    })

    test('a publisher need not listen, and a node hears nothing of what it did not ask for', async () => {
      const [teller, hearer] = await Promise.all([start(), start('asked')])
      teller.bus.publish('not asked', 'not heard')
      teller.bus.publish('asked', 'heard')
      await hearer.hears('heard')
      expect(hearer.messages()).toEqual(['heard'])
      expect(teller.messages()).toEqual([])
    })

    test('5,000 quick messages of each of two nodes arrive in the order of their publisher', async () => {
      const [one, two, hearer] = await Promise.all([start(), start(), start('s', 't')])
      const numbers = Array.from({ length: 5000 }, (_, n) => n)
      for (const n of numbers) {
        one.bus.publish('s', `${n}`)
        two.bus.publish('t', `${n}`)
      }
      one.bus.publish('s', 'end of one')
      two.bus.publish('t', 'end of two')
      await Promise.all([hearer.hears('end of one'), hearer.hears('end of two')])
      expect(hearer.messages('s')).toEqual([...numbers.map(String), 'end of one'])
      expect(hearer.messages('t')).toEqual([...numbers.map(String), 'end of two'])
    })

    test('a message arrives whole at another node: empty, in many lines, in any script, and large', async () => {
      const [teller, hearer] = await Promise.all([start(), start('s')])
      for (const message of [...allKinds, 'end']) teller.bus.publish('s', message)
      await hearer.hears('end')
      expect(hearer.messages()).toEqual([...allKinds, 'end'])
    })

    test('what another node publishes after a subscription is confirmed is never missed', async () => {
      const [teller, hearer] = await Promise.all([start(), start()])
      for (let n = 0; n < 300; n += 1) {
        await hearer.bus.subscribe(`s${n % 3}`)
        teller.bus.publish(`s${n % 3}`, `${n}`)
        await hearer.hears(`${n}`)
        hearer.bus.unsubscribe(`s${n % 3}`)
      }
      expect(hearer.messages()).toEqual(Array.from({ length: 300 }, (_, n) => `${n}`))
    })

    test('wanting, leaving and wanting a subject again ends as it was wanted last, however quick', async () => {
      const [teller, hearer] = await Promise.all([start(), start('control')])
      const turn = () => new Promise((done) => setImmediate(done))
      const pauses = [() => undefined, () => Promise.resolve(), turn]
      for (const [n, pause] of pauses.entries()) {
        void hearer.bus.subscribe('wanted')
        void hearer.bus.subscribe('left')
        await pause()
        hearer.bus.unsubscribe('wanted')
        await pause()
        const confirmed = hearer.bus.subscribe('wanted')
        hearer.bus.unsubscribe('left')
        await confirmed
        teller.bus.publish('left', `not heard ${n}`)
        teller.bus.publish('wanted', `heard ${n}`)
        teller.bus.publish('control', `end ${n}`)
        // Of two subjects either may be heard first where they are on two shards.
        await Promise.all([hearer.hears(`heard ${n}`), hearer.hears(`end ${n}`)])
        hearer.bus.unsubscribe('wanted')
      }
      expect(hearer.messages('wanted')).toEqual(pauses.map((_, n) => `heard ${n}`))
      expect(hearer.messages('control')).toEqual(pauses.map((_, n) => `end ${n}`))
      expect(hearer.messages('left')).toEqual([])
    })

    test('what a node publishes last, before it closes, arrives, however much it is', async () => {
      const [teller, hearer] = await Promise.all([start(), start('s')])
      for (let n = 0; n < 8; n += 1) teller.bus.publish('s', 'x'.repeat(1024 * 1024))
      teller.bus.publish('s', 'goodbye')
      await teller.bus.close()
      await hearer.hears('goodbye')
      expect(hearer.messages()).toHaveLength(9)
    })
  })
}
