import { expect, test } from 'vitest'
import { networkOf } from '../../auth/networks.ts'

test('an IPv4 address is counted by itself, however it is written', () => {
  for (const address of [
    '192.0.2.7',
    '192.0.2.7:50123',
    '::ffff:192.0.2.7',
    '::FFFF:c000:207',
    '[::ffff:192.0.2.7]:443',
  ]) {
    expect([address, networkOf(address)]).toEqual([address, '192.0.2.7'])
  }
  expect(networkOf('0000:0000:0000:0000:0000:ffff:c000:0207')).toBe('192.0.2.7')
  expect(networkOf('192.0.2.8')).toBe('192.0.2.8')
})

test('an IPv6 address is counted with all others of its /64, however they are written', () => {
  for (const address of [
    '2001:db8:1:2::1',
    '2001:0DB8:0001:0002:ffff:ffff:ffff:ffff',
    '2001:db8:1:2:3::',
    '2001:db8:1:2:0:0:192.0.2.7',
    '[2001:db8:1:2::9]:443',
    '2001:db8:1:2::9%eth0',
  ]) {
    expect([address, networkOf(address)]).toEqual([address, '2001:db8:1:2::/64'])
  }
  expect(networkOf('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64')
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64')
  expect(networkOf('::1')).toBe('0:0:0:0::/64')
})

test('what is no address is counted as it is', () => {
  for (const text of ['', 'unknown', ':', ':::', '1:2:3', '1:2:3:4:5:6:7:8:9', '::1::2', 'g::1', '12345::1', '[]']) {
    expect([text, networkOf(text)]).toEqual([text, text])
  }
})
