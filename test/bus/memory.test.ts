import { expect, test, vi } from 'vitest'
import { createMemoryBus } from '../../realtime/bus/memory.ts'
import { busContract } from './contract.ts'

busContract('the bus inside one process', (listener) => createMemoryBus(listener, () => undefined))

test('what a receiver throws is told to whoever made the bus', async () => {
  const onError = vi.fn()
  const broken = new Error('broken')
  const receive = () => {
    throw broken
  }
  const bus = createMemoryBus({ receive }, onError)
  await bus.subscribe('s')
  bus.publish('s', 'm')
  expect(onError).toHaveBeenCalledExactlyOnceWith(broken)
})
