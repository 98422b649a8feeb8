/** What every bus must do; each implementation runs this suite. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../realtime/bus/bus.ts'
import { createRecorder } from './recorder.ts'

/** Runs the suite on the buses that `make` makes; they are closed after each test. */
export const busContract = (name: string, make: (listener: BusListener) => Bus | Promise<Bus>): void => {
  describe(name, () => {
    let opened: Bus[] = []

    const start = async (receive?: BusListener['receive']) => {
      const recorder = createRecorder(receive)
      const bus = await make(recorder.listener)
      opened.push(bus)
      /** Publishes a last message and returns all that was heard before it. */
      const heardBefore = async (subject: string) => {
        bus.publish(subject, 'the last one')
        await recorder.hears('the last one')
        return recorder.heard.filter(({ message }) => message !== 'the last one')
      }
      return { bus, heardBefore, heard: recorder.heard }
    }

    afterEach(async () => {
      await Promise.all(opened.map((bus) => bus.close()))
      opened = []
    })

    test('a message arrives at a subscriber of its subject, and at none of another', async () => {
      const { bus, heardBefore } = await start()
      await bus.subscribe('stream:a')
      bus.publish('stream:b', 'not for us')
      bus.publish('stream:a', 'for us')
      expect(await heardBefore('stream:a')).toEqual([{ subject: 'stream:a', message: 'for us' }])
    })

    test('a publisher that listens hears itself in the same turn', async () => {
      const { bus, heard } = await start()
      await bus.subscribe('s')
      bus.publish('s', 'at once')
      expect(heard).toEqual([{ subject: 's', message: 'at once' }])
    })

    test('messages arrive in the order in which they were published, also across subjects', async () => {
      const { bus, heardBefore } = await start()
      await Promise.all([bus.subscribe('stream:a'), bus.subscribe('channel:3:b')])
      const sent = Array.from({ length: 200 }, (_, n) => ({
        subject: n % 3 === 0 ? 'stream:a' : 'channel:3:b',
        message: `${n}`,
      }))
      for (const { subject, message } of sent) bus.publish(subject, message)
      await heardBefore('stream:a')
      const heard = await heardBefore('channel:3:b')
      for (const subject of ['stream:a', 'channel:3:b']) {
        expect(heard.filter((one) => one.subject === subject)).toEqual(sent.filter((one) => one.subject === subject))
      }
    })

    test('a message arrives whole: empty, in many lines, in any script, and large', async () => {
      const { bus, heardBefore } = await start()
      await bus.subscribe('s')
      for (const message of allKinds) bus.publish('s', message)
      expect((await heardBefore('s')).map(({ message }) => message)).toEqual(allKinds)
    })

    test('subscribing twice is one subscription, which one unsubscribe ends', async () => {
      const { bus, heardBefore } = await start()
      await Promise.all([bus.subscribe('twice'), bus.subscribe('twice'), bus.subscribe('other')])
      bus.publish('twice', 'once')
      expect(await heardBefore('other')).toEqual([{ subject: 'twice', message: 'once' }])
      bus.unsubscribe('twice')
      bus.publish('twice', 'not heard')
      expect(await heardBefore('other')).toEqual([{ subject: 'twice', message: 'once' }])
    })

    test('a subject that was left can be listened to again', async () => {
      const { bus, heardBefore } = await start()
      await bus.subscribe('s')
      bus.unsubscribe('s')
      await bus.subscribe('s')
      bus.publish('s', 'again')
      expect(await heardBefore('s')).toEqual([{ subject: 's', message: 'again' }])
    })

    test('who leaves a subject before it is confirmed does not wait for ever', async () => {
      const { bus } = await start()
      const subscribing = bus.subscribe('s')
      bus.unsubscribe('s')
      await subscribing
    })

    test('leaving a subject that nobody listens to is nothing', async () => {
      const { bus, heardBefore } = await start()
      bus.unsubscribe('never')
      await bus.subscribe('s')
      expect(await heardBefore('s')).toEqual([])
    })

    test('a receiver that fails does not reach the publisher, and gets the next message', async () => {
      const { bus, heardBefore } = await start((_, message) => {
        if (message === 'bad') throw new Error('a failing receiver')
      })
      await bus.subscribe('s')
      expect(() => bus.publish('s', 'bad')).not.toThrow()
      bus.publish('s', 'good')
      expect((await heardBefore('s')).map(({ message }) => message)).toEqual(['bad', 'good'])
    })

    test('a bus is up from its start until it is closed', async () => {
      const { bus } = await start()
      expect(bus.isUp()).toBe(true)
      await bus.close()
      expect(bus.isUp()).toBe(false)
    })

    test('a closed bus takes everything without a word, and hears nothing', async () => {
      const { bus, heard } = await start()
      await bus.subscribe('s')
      await bus.close()
      expect(() => bus.publish('s', 'too late')).not.toThrow()
      expect(() => bus.unsubscribe('s')).not.toThrow()
      await bus.subscribe('s')
      bus.publish('s', 'too late')
      await bus.close()
      expect(heard).toEqual([])
    })
  })
}

/** Messages of every kind. */
export const allKinds = ['', 'a\n\nb\r\n', 'ü 漢字 🙂 \u2028 \u0000', 'x'.repeat(1024 * 1024)]
