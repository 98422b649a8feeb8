import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ReadHistory } from '../../realtime/log.ts'
import { createStream, type Stream } from '../../realtime/streams/stream.ts'
import { type StreamEvent, toStreamEvent, typingEvent } from '../../schema/events.ts'
import { createFakeLog, createTestLogger, type FakeLog } from './start-realtime.ts'

const workspace = 'org_1'

/** A stream over a fake log; `heard` are the numbers it delivered. */
const startStream = (log: FakeLog, options: Partial<Parameters<typeof createStream>[0]> = {}) => {
  const heard: (number | null)[] = []
  const logger = createTestLogger()
  const stream = createStream({
    workspace,
    listen: async () => undefined,
    head: async () => (await log.heads([workspace])).get(workspace) ?? 0,
    history: log.history,
    deliver: ({ seq }) => heard.push(seq),
    logger,
    ...options,
  })
  opened.push(stream)
  return { stream, heard, logger }
}

const opened: Stream[] = []
let log: FakeLog

/** Writes `count` events and returns them as they come over the bus. */
const write = (count: number): StreamEvent[] =>
  Array.from({ length: count }, () => toStreamEvent(log.append(workspace)))

const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, n) => first + n)

beforeEach(() => {
  vi.useFakeTimers()
  log = createFakeLog()
})

afterEach(() => {
  for (const stream of opened.splice(0)) stream.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

/** A log that has been read but does not answer until it is told to. */
const heldHistory = (held: { history: ReadHistory }) => {
  let release: () => void = () => undefined
  const history: ReadHistory = async (...asked) => {
    const rows = await held.history(...asked)
    await new Promise<void>((resolve) => {
      release = resolve
    })
    return rows
  }
  return { history, answer: () => release() }
}

describe('a stream in good weather', () => {
  test('delivers each event the moment it arrives, and reads nothing', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    for (const event of write(3)) {
      stream.receive(event)
      expect(heard.at(-1)).toBe(event.seq)
    }
    await vi.advanceTimersByTimeAsync(1000)
    expect(heard).toEqual([1, 2, 3])
    expect(log.reads).toBe(0)
  })

  test('begins at the head: what was there before is not told', async () => {
    const old = write(5)
    const { stream, heard } = startStream(log)
    await stream.follow()
    for (const event of old) stream.receive(event)
    for (const event of write(1)) stream.receive(event)
    expect(heard).toEqual([6])
  })

  test('keeps what arrives before the head is read, and tells what comes after it', async () => {
    write(2)
    let answer: (head: number) => void = () => undefined
    const { stream, heard } = startStream(log, {
      head: () =>
        new Promise((resolve) => {
          answer = resolve
        }),
    })
    const following = stream.follow()
    await vi.advanceTimersByTimeAsync(0)
    for (const event of log.events) stream.receive(toStreamEvent(event))
    for (const event of write(2)) stream.receive(event)
    expect(heard).toEqual([])
    answer(3)
    await following
    expect(heard).toEqual([4])
  })

  test('loses nothing that arrived for listeners who could not wait for the head', async () => {
    write(2)
    log.failures = 2
    const { stream, heard } = startStream(log)
    const following = stream.follow()
    stream.goOn()
    for (const event of write(2)) stream.receive(event)
    await vi.advanceTimersByTimeAsync(1000)
    await following
    expect(heard).toEqual([3, 4])
  })

  test('tells what has no number at once, even while an event is missing', async () => {
    const { stream, heard } = startStream(log)
    const typing = typingEvent({ workspace, site: 'web_1', conversation: 'cnv_1', user: null, isPrivate: false })
    stream.receive(typing)
    await stream.follow()
    const [, second] = write(2)
    if (second) stream.receive(second)
    stream.receive(typing)
    expect(heard).toEqual([null, null])
  })
})

describe('a stream in bad weather', () => {
  test('puts events that overtook each other in order, without reading the log', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    const [a, b, c, d] = write(4)
    for (const event of [b, d, c, a]) if (event) stream.receive(event)
    expect(heard).toEqual([1, 2, 3, 4])
    await vi.advanceTimersByTimeAsync(1000)
    expect(log.reads).toBe(0)
  })

  test('tells an event that arrives twice once', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    const [a, b, c] = write(3)
    for (const event of [a, a, c, c, b, b, a, c]) if (event) stream.receive(event)
    await vi.advanceTimersByTimeAsync(1000)
    expect(heard).toEqual([1, 2, 3])
  })

  test('reads a lost event from the log after a few milliseconds, and tells it before those that waited', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    const [a, , c, d] = write(4)
    for (const event of [a, c, d]) if (event) stream.receive(event)
    await vi.advanceTimersByTimeAsync(4)
    expect(heard).toEqual([1])
    await vi.advanceTimersByTimeAsync(1)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(log.reads).toBe(1)
  })

  test('gives a younger hole its own few milliseconds', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    const [a, b, c, d] = write(4)
    if (b) stream.receive(b)
    await vi.advanceTimersByTimeAsync(4)
    for (const event of [a, d]) if (event) stream.receive(event)
    await vi.advanceTimersByTimeAsync(4)
    if (c) stream.receive(c)
    await vi.advanceTimersByTimeAsync(100)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(log.reads).toBe(0)
  })

  test('stays in order when new events arrive while the log is read', async () => {
    const { history, answer } = heldHistory(log)
    const { stream, heard } = startStream(log, { history })
    await stream.follow()
    const [, second] = write(2)
    if (second) stream.receive(second)
    await vi.advanceTimersByTimeAsync(5)
    const [third, fourth] = write(2)
    if (fourth) stream.receive(fourth)
    if (third) stream.receive(third)
    expect(heard).toEqual([])
    answer()
    await vi.advanceTimersByTimeAsync(0)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(log.reads).toBe(1)
  })

  test('takes the late event itself when it arrives while the log is read', async () => {
    const { history, answer } = heldHistory(log)
    const { stream, heard } = startStream(log, { history })
    await stream.follow()
    const [first, second] = write(2)
    if (second) stream.receive(second)
    await vi.advanceTimersByTimeAsync(5)
    if (first) stream.receive(first)
    expect(heard).toEqual([1, 2])
    answer()
    await vi.advanceTimersByTimeAsync(100)
    expect(heard).toEqual([1, 2])
  })

  test('reads a long hole page by page', async () => {
    const { stream, heard } = startStream(log, { pageSize: 10 })
    await stream.follow()
    const last = write(35).at(-1)
    if (last) stream.receive(last)
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual(upTo(35))
    expect(log.reads).toBe(4)
  })

  test('keeps only so many events waiting, and reads the others from the log', async () => {
    const { stream, heard } = startStream(log, { pageSize: 100, maxWaiting: 10 })
    await stream.follow()
    for (const event of write(1000).slice(1)) stream.receive(event)
    expect(heard).toEqual([])
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual(upTo(1000))
  })

  test('learns from the head of the log what the bus never said', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    write(3)
    stream.reach(3)
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual([1, 2, 3])
    stream.reach(3)
    await vi.advanceTimersByTimeAsync(100)
    expect(log.reads).toBe(1)
  })

  test('retries a read that fails, with pauses and a line in the log, and keeps the order meanwhile', async () => {
    const { stream, heard, logger } = startStream(log)
    await stream.follow()
    log.failures = 3
    const [, second] = write(2)
    if (second) stream.receive(second)
    await vi.advanceTimersByTimeAsync(5 + 50 + 100)
    expect(log.reads).toBe(3)
    for (const event of write(2)) stream.receive(event)
    expect(heard).toEqual([])
    await vi.advanceTimersByTimeAsync(200)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(logger.lines.filter(({ level }) => level === 'warn').length).toBe(3)
  })

  test('goes on over events that the log no longer holds', async () => {
    const { stream, heard, logger } = startStream(log)
    await stream.follow()
    const [, , third, fourth] = write(4)
    log.events.splice(0, 2)
    for (const event of [fourth, third]) if (event) stream.receive(event)
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual([3, 4])
    expect(logger.lines.map(({ message }) => message)).toEqual(['events are missing in the log'])
  })

  test('goes on over a row that cannot be presented, and says so', async () => {
    const { stream, heard, logger } = startStream(log)
    await stream.follow()
    log.append(workspace, { payload: {} })
    const [second] = write(1)
    if (second) stream.receive(second)
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual([2])
    expect(logger.lines[0]?.message).toBe('an event of the log could not be presented')
  })

  test('goes on when a delivery fails', async () => {
    const heard: (number | null)[] = []
    const { stream } = startStream(log, {
      deliver: ({ seq }) => {
        if (seq === 1) throw new Error('a failing delivery')
        heard.push(seq)
      },
    })
    await stream.follow()
    for (const event of write(2)) stream.receive(event)
    expect(heard).toEqual([2])
  })

  test('follows without the bus when the bus fails, for the log is the truth', async () => {
    const { stream, heard } = startStream(log, { listen: () => Promise.reject(new Error('no bus')) })
    await stream.follow()
    write(1)
    stream.reach(1)
    await vi.advanceTimersByTimeAsync(5)
    expect(heard).toEqual([1])
  })

  test('is silent once it is stopped, and leaves no timer', async () => {
    const { stream, heard } = startStream(log)
    await stream.follow()
    const [first, second] = write(2)
    if (second) stream.receive(second)
    stream.stop()
    if (first) stream.receive(first)
    await vi.advanceTimersByTimeAsync(1000)
    expect(heard).toEqual([])
  })

  test('may be stopped while it waits for its head', async () => {
    log.failures = 1000
    const { stream } = startStream(log)
    const following = stream.follow()
    await vi.advanceTimersByTimeAsync(1000)
    stream.stop()
    await following
  })

  test('tells every event once and in order, however they are shuffled, doubled and lost', async () => {
    const { stream, heard } = startStream(log, { pageSize: 7, maxWaiting: 20 })
    await stream.follow()
    let random = 42
    const next = (below: number): number => {
      random = (random * 1103515245 + 12345) % 2 ** 31
      return random % below
    }
    const onTheWay: StreamEvent[] = []
    for (let round = 0; round < 300; round++) {
      for (const event of write(next(5))) {
        if (next(10) > 0) onTheWay.push(event)
        if (next(5) === 0) onTheWay.push(event)
      }
      if (next(4) === 0) log.failures = next(3)
      while (onTheWay.length > next(12)) {
        const [event] = onTheWay.splice(next(onTheWay.length), 1)
        if (event) stream.receive(event)
      }
      await vi.advanceTimersByTimeAsync(next(8))
    }
    log.failures = 0
    stream.reach(log.events.length)
    await vi.advanceTimersByTimeAsync(5000)
    expect(heard).toEqual(upTo(log.events.length))
  })
})
