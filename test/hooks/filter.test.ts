import { expect, test } from 'vitest'
import { wants } from '../../realtime/hooks/filter.ts'
import { hookTypes } from '../../schema/pusher-hooks.ts'

const event = (channel: string) => ({ name: 'channel_occupied' as const, channel })

const webhook = (starts?: string, ends?: string) => ({
  event_types: [...hookTypes],
  filter: {
    ...(starts === undefined ? {} : { channel_name_starts_with: starts }),
    ...(ends === undefined ? {} : { channel_name_ends_with: ends }),
  },
})

test.each(hookTypes)('%s is told to who asks for it, and to nobody else', (name) => {
  const others = hookTypes.filter((type) => type !== name)
  expect(wants({ event_types: [name], filter: {} }, { name, channel: 'news' })).toBe(true)
  expect(wants({ event_types: others, filter: {} }, { name, channel: 'news' })).toBe(false)
})

test('a channel fits by how its name begins, not by what else is in it', () => {
  expect(wants(webhook('private-shop'), event('private-shop-1'))).toBe(true)
  expect(wants(webhook('private-shop'), event('private-shop'))).toBe(true)
  expect(wants(webhook('shop'), event('private-shop-1'))).toBe(false)
  expect(wants(webhook('private-shop-11'), event('private-shop-1'))).toBe(false)
})

test('a channel fits by how its name ends', () => {
  expect(wants(webhook(undefined, '-eu'), event('news-eu'))).toBe(true)
  expect(wants(webhook(undefined, '-eu'), event('news-eu-1'))).toBe(false)
})

test('with both, both have to fit', () => {
  expect(wants(webhook('news', '-eu'), event('news-1-eu'))).toBe(true)
  expect(wants(webhook('news', '-eu'), event('news-1-us'))).toBe(false)
  expect(wants(webhook('news', '-eu'), event('shop-1-eu'))).toBe(false)
})

test('a filter is text: what means something in a pattern means itself', () => {
  expect(wants(webhook('.*'), event('news'))).toBe(false)
  expect(wants(webhook('a.b'), event('a.b=1'))).toBe(true)
  expect(wants(webhook('a.b'), event('axb=1'))).toBe(false)
})
