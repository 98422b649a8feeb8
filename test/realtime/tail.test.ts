/** How much of what was told is kept for those who come back soon. */

import { expect, test } from 'vitest'
import { createTail } from '../../realtime/streams/tail.ts'
import type { StreamEvent } from '../../schema/events.ts'

const event = (seq: number, size = 10, name = 'message.new'): StreamEvent => ({
  workspace: 'org_1',
  seq,
  name,
  site: null,
  conversation: null,
  publicSeq: null,
  staff: 'x'.repeat(size),
  visitor: null,
})

const numbers = (events: StreamEvent[] | undefined) => events?.map(({ seq }) => seq)

test('all after a number is there, or nothing is claimed', () => {
  const tail = createTail()
  tail.startAfter(4)
  for (const seq of [5, 6, 7]) tail.push(event(seq))
  expect(numbers(tail.after(4))).toEqual([5, 6, 7])
  expect(numbers(tail.after(6))).toEqual([7])
  expect(numbers(tail.after(7))).toEqual([])
  expect(tail.after(3)).toBe(undefined)
})

test('the oldest go when there are too many, when they are too large, and when they are too old', () => {
  let time = 0
  const tail = createTail({ events: 3, bytes: 100 }, () => time)
  for (const seq of [1, 2, 3, 4]) tail.push(event(seq))
  expect(tail.after(0)).toBe(undefined)
  expect(numbers(tail.after(1))).toEqual([2, 3, 4])
  tail.push(event(5, 85))
  expect(numbers(tail.all())).toEqual([4, 5])
  time = 1000
  tail.push(event(6, 1))
  tail.forgetBefore(1000)
  expect(numbers(tail.all())).toEqual([6])
  tail.forgetBefore(1001)
  expect(tail.after(5)).toBe(undefined)
  expect(numbers(tail.after(6))).toEqual([])
})

test('one that is larger than all that may be kept is not kept', () => {
  const tail = createTail({ events: 3, bytes: 100 })
  tail.push(event(1, 101))
  expect(tail.after(0)).toBe(undefined)
  expect(numbers(tail.after(1))).toEqual([])
})

test.each(['conversation.deleted', 'contact.deleted'])('what came before a %s is not told again', (name) => {
  const tail = createTail()
  for (const seq of [1, 2]) tail.push(event(seq))
  tail.push(event(3, 10, name))
  tail.push(event(4))
  for (const seq of [0, 1]) expect(tail.after(seq)).toBe(undefined)
  expect(numbers(tail.after(2))).toEqual([3, 4])
  expect(numbers(tail.all())).toEqual([3, 4])
})
