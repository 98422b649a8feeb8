import { createHash, createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { verifyRequest } from '../../auth/request-signature.ts'

// The vector of Pusher's documentation.
const app = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }
const body = Buffer.from('{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}')
const query = [
  'body_md5=ec365a775a4cd0599faeb73354201b6f',
  'auth_version=1.0',
  'auth_key=278d425bdf160c739803',
  'auth_timestamp=1353088179',
  'auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c',
].join('&')
const request = { method: 'POST', path: '/apps/3/events', query, body }
const now = 1353088179_000

/** Signs as an SDK does: `params` as they are, un-escaped and sorted; the wire may escape them. */
const signed = (params: string[], wire = params, given: Uint8Array = Buffer.alloc(0)) => {
  const auth = [`auth_key=${app.key}`, 'auth_timestamp=1353088179', 'auth_version=1.0']
  if (given.length > 0) auth.push(`body_md5=${createHash('md5').update(given).digest('hex')}`)
  const text = `POST\n/apps/3/events\n${[...auth, ...params].join('&')}`
  const signature = createHmac('sha256', app.secret).update(text).digest('hex')
  const query = [...wire, ...auth, `auth_signature=${signature}`].join('&')
  return { method: 'POST', path: '/apps/3/events', query, body: given }
}

test('the request of the documentation is good at its time', () => {
  expect(verifyRequest(app, request, now)).toBeUndefined()
  expect(verifyRequest(app, request, now + 600_000)).toBeUndefined()
  expect(verifyRequest(app, request, now - 600_000)).toBeUndefined()
})

test('a request that is more than 600 seconds off is refused, and told how much', () => {
  expect(verifyRequest(app, request, now + 601_000)).toBe(
    'Timestamp expired: Given timestamp (1353088179) not within 600s of server time (1353088780)',
  )
  expect(verifyRequest(app, request, now - 601_000)).toMatch(/^Timestamp expired/)
})

test('values are signed un-escaped, however they travel', () => {
  expect(verifyRequest(app, signed(['data={"a": "ü"}', 'name=x']), now)).toBeUndefined()
  const escaped = ['data=%7B%22a%22%3A+%22%C3%BC%22%7D', 'name=x']
  expect(verifyRequest(app, signed(['data={"a": "ü"}', 'name=x'], escaped), now)).toBeUndefined()
  expect(verifyRequest(app, signed(['data=100%', 'name=x']), now)).toBeUndefined()
})

test('arrays are signed in their order, under their name with brackets', () => {
  const channels = ['channels[]=b', 'channels[]=a', 'name=x']
  expect(verifyRequest(app, signed(channels), now)).toBeUndefined()
  expect(verifyRequest(app, signed(channels, ['name=x', 'channels%5B%5D=b', 'channels%5B%5D=a']), now)).toBeUndefined()
  expect(verifyRequest(app, signed(channels, ['channels[]=a', 'channels[]=b', 'name=x']), now)).toMatch(
    /^Invalid signature/,
  )
})

test('keys are signed in lower case', () => {
  expect(verifyRequest(app, signed(['info=a'], ['INFO=a']), now)).toBeUndefined()
})

test('a body needs its digest, and one byte more or less is refused', () => {
  expect(verifyRequest(app, { ...request, body: Buffer.concat([body, Buffer.from(' ')]) }, now)).toMatch(
    /^Invalid body_md5/,
  )
  expect(verifyRequest(app, { ...request, body: Buffer.alloc(0) }, now)).toMatch(/^Invalid body_md5/)
  expect(verifyRequest(app, { ...signed([]), body }, now)).toMatch(/^Missing body_md5/)
  const bytes = Buffer.from([0xff, 0x00, 0xe4])
  expect(verifyRequest(app, signed([], [], bytes), now)).toBeUndefined()
})

test('another path, method, parameter or secret is refused', () => {
  expect(verifyRequest(app, { ...request, path: '/apps/4/events' }, now)).toMatch(/^Invalid signature/)
  expect(verifyRequest(app, { ...request, method: 'GET' }, now)).toMatch(/^Invalid signature/)
  expect(verifyRequest(app, { ...request, query: `${query}&more=1` }, now)).toMatch(/^Invalid signature/)
  expect(verifyRequest({ ...app, secret: 'another' }, request, now)).toMatch(/^Invalid signature/)
})

test('another key, another version and missing parts are refused with a text that names them', () => {
  expect(verifyRequest({ ...app, key: 'another' }, request, now)).toMatch(/^Invalid auth_key/)
  expect(verifyRequest(app, { ...request, query: '' }, now)).toMatch(/^Invalid auth_key/)
  expect(verifyRequest(app, { ...request, query: query.replace('1.0', '1.1') }, now)).toMatch(/^Invalid auth_version/)
  expect(verifyRequest(app, { ...request, query: query.replace('1353088179', 'now') }, now)).toMatch(
    /^Invalid auth_timestamp/,
  )
})

test('a query that is in order and plain is verified as it came; what differs from that is verified all the same', () => {
  const plain = [
    'auth_key=278d425bdf160c739803',
    'auth_timestamp=1353088179',
    'auth_version=1.0',
    'body_md5=ec365a775a4cd0599faeb73354201b6f',
    'auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c',
  ]
  const verify = (pairs: string[], given: Uint8Array = body) =>
    verifyRequest(app, { ...request, query: pairs.join('&'), body: given }, now)
  expect(verify(plain)).toBeUndefined()
  expect(verify([...plain].reverse())).toBeUndefined()
  expect(verify(plain.map((pair) => pair.replace('auth_key', 'AUTH%5Fkey')))).toBeUndefined()
  expect(verify([...plain, ''])).toBeUndefined()

  expect(verify(plain, Buffer.alloc(0))).toMatch(/^Invalid body_md5/)
  expect(verify(plain.filter((pair) => !pair.startsWith('body_md5')))).toMatch(/^Missing body_md5/)
  expect(verify(plain.map((pair) => pair.replace('803', '804')))).toMatch(/^Invalid auth_key/)
  expect(verify(plain.map((pair) => pair.replace('179', '180')))).toMatch(/^Invalid signature/)
  expect(verify(plain.map((pair) => pair.replace('7e6c', '7e6d')))).toMatch(/^Invalid signature/)
  expect(verify(plain.map((pair) => pair.replace('7e6c', '7e6C')))).toMatch(/^Invalid signature/)
  expect(verify(plain.slice(0, -1))).toMatch(/^Invalid signature/)
  expect(verify([...plain, 'name=x'])).toMatch(/^Invalid signature/)
})

test('a request without a body needs no digest', () => {
  expect(verifyRequest(app, signed([]), now)).toBeUndefined()
  const digest = 'body_md5=d41d8cd98f00b204e9800998ecf8427e'
  const text = `POST\n/apps/3/events\nauth_key=${app.key}&auth_timestamp=1353088179&auth_version=1.0&${digest}`
  const signature = createHmac('sha256', app.secret).update(text).digest('hex')
  const query = `auth_key=${app.key}&auth_timestamp=1353088179&auth_version=1.0&${digest}&auth_signature=${signature}`
  expect(verifyRequest(app, { ...request, query, body: Buffer.alloc(0) }, now)).toBeUndefined()
})

test('another path that the client may have signed is asked for only where the one that arrived was not', () => {
  const others = (paths: string[]) => {
    const asked = { times: 0 }
    const otherPaths = () => {
      asked.times += 1
      return paths
    }
    return { asked, otherPaths }
  }
  const arrived = others(['/ws/apps/3/events'])
  expect(verifyRequest(app, request, now, arrived.otherPaths)).toBeUndefined()
  expect(arrived.asked.times).toBe(0)

  const prefixed = { ...request, path: '/ws/apps/3/events' }
  expect(verifyRequest(app, prefixed, now, others(['/x', '/apps/3/events']).otherPaths)).toBeUndefined()
  expect(verifyRequest(app, prefixed, now, others(['/apps/4/events']).otherPaths)).toBe(
    verifyRequest(app, prefixed, now),
  )
  expect(verifyRequest(app, prefixed, now)).toMatch(/^Invalid signature: .*"POST\\n\/ws\/apps\/3\/events\\nauth_key/)
  expect(
    verifyRequest(app, { ...prefixed, body: Buffer.from('x') }, now, others(['/apps/3/events']).otherPaths),
  ).toMatch(/^Invalid body_md5/)
})
