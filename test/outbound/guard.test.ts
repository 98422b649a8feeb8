/** What strangers may have the program call: the public internet, and what the operator names. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { privateHosts } from '../../schema/outbound.ts'
import { createGuard, isPublic, type Lookup } from '../../server/outbound/guard.ts'
import { createPost } from '../../server/outbound/post.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'

const request = { headers: {}, body: '{}', timeout: 5000 }

describe('an address in the URL', () => {
  let receiver: Receiver
  let out: ReturnType<typeof createPost>

  beforeEach(async () => {
    receiver = await startReceiver()
    out = createPost()
  })

  afterEach(async () => {
    await out.close()
    await receiver.stop()
  })

  test.each([
    ['loopback', '127.0.0.1'],
    ['loopback elsewhere', '127.255.255.254'],
    ['loopback, short', '127.1'],
    ['loopback, with a dot behind', '127.0.0.1.'],
    ['loopback, decimal', '2130706433'],
    ['loopback, hexadecimal', '0x7f000001'],
    ['loopback, octal', '0177.0.0.01'],
    ['loopback, mixed', '0x7f.0.1'],
    ['loopback, escaped', '%31%32%37.0.0.1'],
    ['loopback, in wide digits', '１２７.０.０.１'],
    ['loopback, with other dots', '127。0。0。1'],
    ['loopback in IPv6', '[::1]'],
    ['loopback in IPv6, in full', '[0000:0000:0000:0000:0000:0000:0000:0001]'],
    ['loopback, IPv4-mapped', '[::ffff:127.0.0.1]'],
    ['loopback, IPv4-mapped in hex', '[::ffff:7f00:1]'],
    ['loopback, IPv4-compatible', '[::127.0.0.1]'],
    ['loopback, translated', '[::ffff:0:127.0.0.1]'],
    ['loopback by NAT64', '[64:ff9b::7f00:1]'],
    ['loopback by local NAT64', '[64:ff9b:1::7f00:1]'],
    ['loopback by 6to4', '[2002:7f00:1::]'],
    ['loopback by Teredo', '[2001:0:4136:e378:8000:63bf:80ff:fffe]'],
    ['anything here', '0.0.0.0'],
    ['anything here, as a number', '0'],
    ['anything here in IPv6', '[::]'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['the metadata of clouds', '169.254.169.254'],
    ['the metadata of clouds, decimal', '2852039166'],
    ['the metadata of clouds, IPv4-mapped', '[::ffff:a9fe:a9fe]'],
    ['the metadata of clouds in IPv6', '[fd00:ec2::254]'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['multicast', '224.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['reserved', '240.0.0.1'],
    ['benchmarking', '198.18.0.1'],
    ['documentation', '192.0.2.1'],
    ['documentation', '198.51.100.1'],
    ['documentation', '203.0.113.1'],
    ['documentation in IPv6', '[2001:db8::1]'],
    ['newer documentation in IPv6', '[3fff::1]'],
    ['unique-local', '[fc00::1]'],
    ['link-local in IPv6', '[fe80::1]'],
    ['site-local', '[fec0::1]'],
    ['multicast in IPv6', '[ff02::1]'],
    ['discard', '[100::1]'],
    ['never given out', '[4000::1]'],
  ])('%s is refused: %s', async (_what, host) => {
    const result = await out.post(`http://${host}:${receiver.port}/`, request)
    expect(result).toMatchObject({ ok: false, failure: 'refused_address' })
    expect(receiver.connections()).toBe(0)
  })

  test.each([
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '169.253.0.1',
    '2606:4700::1111',
    '2a00:1450:4001:81b::200e',
  ])('%s is public', (address) => {
    expect(isPublic(address)).toBe(true)
  })
})

describe('a name', () => {
  const found: Record<string, string[]> = {
    'public.example': ['8.8.8.8', '2606:4700::1111'],
    'private.example': ['10.0.0.1', '::1'],
    'mixed.example': ['10.0.0.1', '8.8.8.8', '::ffff:8.8.4.4', 'fe80::1%eth0'],
    'broken.example': ['nowhere'],
    'empty.example': [],
  }
  const lookup: Lookup = async (name) => {
    const addresses = found[name]
    if (!addresses) throw new Error('ENOTFOUND')
    return addresses
  }
  const admit = createGuard({ lookup })

  test('is dialled at its public addresses', async () => {
    expect(await admit('public.example', 443)).toEqual({ addresses: ['8.8.8.8', '2606:4700::1111'] })
  })

  test('that is private is refused, and its address is not told', async () => {
    expect(await admit('private.example', 443)).toEqual({
      failure: 'refused_address',
      message: 'private.example is not a public address',
    })
  })

  test('that is both is dialled at what is public alone', async () => {
    expect(await admit('mixed.example', 443)).toEqual({ addresses: ['8.8.8.8'] })
  })

  test('without an address is unknown, and one with nonsense is refused', async () => {
    expect(await admit('empty.example', 443)).toMatchObject({ failure: 'unknown_host' })
    expect(await admit('nobody.example', 443)).toMatchObject({ failure: 'unknown_host' })
    expect(await admit('broken.example', 443)).toMatchObject({ failure: 'refused_address' })
  })

  test.each([
    ['its name', 'private.example'],
    ['its name in capitals', 'PRIVATE.example'],
    ['its name and port', 'private.example:443'],
    ['its addresses', '10.0.0.1,::1'],
    ['their networks', '10.0.0.0/8,[::/64]:443'],
  ])('that the operator allows by %s is dialled', async (_by, list) => {
    const allowing = createGuard({ allowPrivate: privateHosts.parse(list), lookup })
    expect(await allowing('private.example', 443)).toEqual({ addresses: ['10.0.0.1', '::1'] })
  })

  test.each([
    ['another name', 'private.example.org,example,rivate.example'],
    ['another port', 'private.example:8443'],
    ['another address', '10.0.0.2'],
    ['another network', '192.168.0.0/16,fd00::/8'],
  ])('is not let through since the operator allows %s', async (_what, list) => {
    const allowing = createGuard({ allowPrivate: privateHosts.parse(list), lookup })
    expect(await allowing('private.example', 443)).toMatchObject({ failure: 'refused_address' })
  })

  test('that is allowed by one address is dialled at that one', async () => {
    const allowing = createGuard({ allowPrivate: privateHosts.parse('10.0.0.1'), lookup })
    expect(await allowing('private.example', 443)).toEqual({ addresses: ['10.0.0.1'] })
  })
})
