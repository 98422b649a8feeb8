import { expect, test } from 'vitest'
import { privateHosts } from '../../schema/outbound.ts'

const port = undefined

test('names, addresses and networks are read, each with a port or without', () => {
  expect(
    privateHosts.parse('localhost, Hooks.internal:8080,10.0.0.5,10.0.0.5:80,192.168.0.0/16,10.0.0.0/8:443'),
  ).toEqual([
    { host: 'localhost', port },
    { host: 'hooks.internal', port: 8080 },
    { host: '10.0.0.5', port },
    { host: '10.0.0.5', port: 80 },
    { host: '192.168.0.0/16', port },
    { host: '10.0.0.0/8', port: 443 },
  ])
  expect(privateHosts.parse('::1,[::1],[FD00::1]:8080,fd00::/8,[fd00::/8]:443')).toEqual([
    { host: '::1', port },
    { host: '::1', port },
    { host: 'fd00::1', port: 8080 },
    { host: 'fd00::/8', port },
    { host: 'fd00::/8', port: 443 },
  ])
})

test('an empty list lets nothing through, and a comma too many is none', () => {
  expect(privateHosts.parse('')).toEqual([])
  expect(privateHosts.parse(' localhost, ')).toEqual([{ host: 'localhost', port }])
})

test.each([
  'http://localhost',
  'user@localhost',
  'localhost:0',
  'localhost:65536',
  'localhost:http',
  '10.0.0.0/33',
  '10.0.0',
  '2130706433',
  '0x7f000001',
  '[localhost]',
  '[10.0.0.1]',
  '[::1',
  'a b',
  '*',
])('%s is refused by its name', (entry) => {
  const parsed = privateHosts.safeParse(`localhost,${entry}`)
  expect(parsed.error?.issues.map(({ message }) => message)).toEqual([
    `${entry} is not a name, an address or a network, or its port is none`,
  ])
})
