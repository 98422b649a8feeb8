/** Requests of a hostile server or passer-by: made like valid ones, then spoiled, and written as valid ones are not. */

import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import type { AppCredentials } from '../../auth/channel-signature.ts'
import {
  expand,
  field,
  hostileChannel,
  hostileJson,
  hostileText,
  hurt,
  type Json,
  type Twist,
  twist,
  twistOf,
  userId,
  type Wound,
  wound,
  writeObject,
} from './hostile-words.ts'

/** How it is signed: with the secret at hand, and of what was sent, or not quite. */
type Seal = 'right' | 'late' | 'of another body' | 'wrong' | 'twice' | 'none'

/** How it goes over the wire. `half` announces more than comes. */
type Framing = 'length' | 'chunked' | 'pieces' | 'half'

export type HostileRequest = {
  /** The id in the path: undefined for the app whose secret is at hand. */
  appId: string | undefined
  /** Below the app's own path, or a whole path. */
  route: string
  /** The channel or the user in the path; escaped, or already as it goes out. */
  subject: { text: string; isRaw: boolean }
  method: string
  params: readonly (readonly [string, string])[]
  body: readonly (readonly [string, Json])[] | Json
  twists: readonly Twist[]
  wounds: readonly Wound[]
  /** Bytes of white space behind the body, before it is signed. */
  padding: number
  seal: Seal
  /** Put behind the query, unsigned. */
  tail: string
  headers: readonly string[]
  framing: Framing
}

const routes = [
  'events',
  'batch_events',
  'channels',
  'channels/*',
  'channels/*/events',
  'channels/*/users',
  'channels/*/stats',
  'users/*/terminate_connections',
  'constructor',
  '/up',
  '/ready',
  '/metrics',
  '/',
  '/apps//events',
  '//apps/66/events',
] as const

const aPath = fc.webPath().map((path) => `/${path}`)

const aChannel = hostileChannel.map((name) => JSON.stringify(name))
const publication = [
  field('name', fc.oneof(fc.constantFrom('"e"', '"client-x"', '"pusher:error"', '"__proto__"'), aChannel)),
  field('data', fc.oneof(fc.constantFrom('"{}"', '""', '{"a":1}'), hostileJson)),
  field('info', fc.constantFrom('"user_count,subscription_count"', '""', '"__proto__"')),
  field('socket_id', fc.constantFrom('"1.1"', 'null', '"1.1\\n"')),
] as const

const event = fc
  .tuple(...publication, field('channel', aChannel))
  .chain((members) => fc.subarray<[string, Json]>(members, { minLength: 2 }))

const body = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        ...publication,
        field(
          'channels',
          fc.array(aChannel, { maxLength: 4 }).map((names) => `[${names.join(',')}]`),
        ),
      )
      .chain((members) => fc.subarray<[string, Json]>(members, { minLength: 2 })),
  },
  { weight: 2, arbitrary: event },
  {
    weight: 2,
    arbitrary: fc
      .array(event.map(writeObject), { maxLength: 12 })
      .map((events): [string, Json][] => [['batch', `[${events.join(',')}]`]]),
  },
  { weight: 2, arbitrary: hostileJson },
)

const param = fc.tuple(
  fc.oneof(fc.constantFrom('info', 'filter_by_prefix', 'name', 'channels[]', 'data', 'socket_id'), hostileText),
  fc.oneof(fc.constantFrom('user_count', 'presence-', 'cache', 'subscription_count'), hostileText),
)

const seldom = <T>(arbitrary: fc.Arbitrary<T>, usual: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary })

export const hostileRequest: fc.Arbitrary<HostileRequest> = fc.record({
  appId: seldom(
    fc.constantFrom('victim', '__proto__', 'constructor', 'toString', '%', '%00', '99', ''),
    undefined as string | undefined,
  ),
  route: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...routes) }, { weight: 1, arbitrary: aPath }),
  subject: fc.oneof(
    fc.record({ text: hostileChannel, isRaw: fc.constant(false) }),
    fc.record({ text: userId.map((id) => id.replaceAll('"', '')), isRaw: fc.constant(false) }),
    fc.record({
      text: fc.constantFrom('%', '%ff', '%00', '%2F', '..', '%E0%A4%A', '%2e%2e', 'a%'),
      isRaw: fc.constant(true),
    }),
  ),
  method: seldom(fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'POST'), 'right'),
  params: fc.array(param, { maxLength: 3 }),
  body,
  twists: seldom(fc.array(twistOf('name', 'data', 'channel', 'channels', 'batch', 'info'), { maxLength: 2 }), []),
  wounds: seldom(fc.array(wound, { maxLength: 2 }), []),
  padding: fc.oneof(
    { weight: 30, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(11_000, 1024 * 1024 + 1, 3_000_000) },
  ),
  seal: fc.oneof(
    { weight: 5, arbitrary: fc.constant<Seal>('right') },
    { weight: 1, arbitrary: fc.constantFrom<Seal>('late', 'of another body', 'wrong', 'twice', 'none') },
  ),
  tail: seldom(
    fc.constantFrom('&', '&=', '&%&%ff', '&auth_key=x', '&__proto__=1', '?', '&auth_signature=', '&a=%00'),
    '',
  ),
  headers: seldom(
    fc.array(
      fc.constantFrom(
        'X-Forwarded-For: 127.0.0.1, __proto__',
        'Forwarded: for=x',
        'constructor: x',
        'HasOwnProperty: x',
        'Content-Type: application/x-www-form-urlencoded',
        'Content-Encoding: gzip',
        'Authorization: Bearer x',
        'Expect: 100-continue',
        'Upgrade: h2c',
        `Cookie: ${'x'.repeat(2000)}`,
      ),
      { maxLength: 3 },
    ),
    [],
  ),
  framing: seldom(fc.constantFrom<Framing>('chunked', 'pieces', 'half'), 'length'),
})

/** A request as it goes over the wire: piece by piece. An answer is due where it was sent whole. */
export type Written = { pieces: readonly Buffer[]; isHead: boolean; isAnswerDue: boolean }

/** Writes a request for an app. `victimId` is what `victim` in a path stands for. */
export const writeRequest = (
  {
    appId,
    route,
    subject,
    params,
    body,
    twists,
    wounds,
    padding,
    seal,
    tail,
    headers,
    framing,
    ...asked
  }: HostileRequest,
  app: AppCredentials & { id: string },
  victimId: string,
): Written => {
  const method = asked.method === 'right' ? methodOf(route) : asked.method
  const id = appId === 'victim' ? victimId : (appId ?? app.id)
  const named = route.replace('*', () => (subject.isRaw ? subject.text : escaped(subject.text)))
  const path = route.startsWith('/') ? route : `/apps/${id}/${named}`
  const isBare = method === 'GET' || method === 'HEAD'
  const whole = expand(typeof body === 'string' ? body : writeObject(twists.reduce(twist, body)))
  const bytes = Buffer.from(isBare ? '' : wounds.reduce(hurt, whole) + ' '.repeat(padding))
  const query = signedQuery(
    { method, path, params, bytes: seal === 'of another body' ? Buffer.from('{}') : bytes, seal },
    app,
  )
  const lines = [`${method} ${path}?${query}${tail} HTTP/1.1`, 'Host: 127.0.0.1', ...headers]
  return {
    pieces: framed(lines, bytes, isBare ? 'length' : framing),
    isHead: method === 'HEAD',
    isAnswerDue: isBare || framing !== 'half',
  }
}

const methodOf = (route: string): string => (/events$|connections$/.test(route) ? 'POST' : 'GET')

/** Escapes every byte that is not a letter or a digit, also of what encodeURIComponent refuses. */
const escaped = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) => (/[A-Za-z0-9_-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : percent(byte)))
    .join('')

const percent = (byte: number): string => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`

const signedQuery = (
  {
    method,
    path,
    params,
    bytes,
    seal,
  }: { method: string; path: string; params: HostileRequest['params']; bytes: Buffer; seal: Seal },
  { key, secret }: AppCredentials,
): string => {
  const given = params.map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
  if (seal === 'none') return given.join('&')
  const pairs: [string, string][] = [
    ['auth_key', key],
    ['auth_timestamp', String(Math.floor(Date.now() / 1000) - (seal === 'late' ? 700 : 0))],
    ['auth_version', '1.0'],
    ...(bytes.length > 0 ? [['body_md5', createHash('md5').update(bytes).digest('hex')] as [string, string]] : []),
    // As the server reads them: lone surrogates do not survive the way there.
    ...params.map(([name, value]): [string, string] => [
      Buffer.from(name).toString().toLowerCase(),
      Buffer.from(value).toString(),
    ]),
  ]
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const text = `${method}\n${path}\n${pairs.map((pair) => pair.join('=')).join('&')}`
  const signature = createHmac('sha256', seal === 'wrong' ? 'a guess' : secret)
    .update(text)
    .digest('hex')
  const signed = pairs.map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
  return [...signed, `auth_signature=${signature}`, ...(seal === 'twice' ? ['auth_signature=x'] : [])].join('&')
}

const framed = (lines: readonly string[], body: Buffer, framing: Framing): Buffer[] => {
  const head = (line: string): Buffer => Buffer.from([...lines, line, '', ''].join('\r\n'), 'latin1')
  if (framing === 'half') return [head(`Content-Length: ${body.length + 10}`), body]
  if (framing === 'chunked') {
    const size = `${body.length.toString(16)}\r\n`
    const chunk = body.length === 0 ? [] : [Buffer.from(size), body, Buffer.from('\r\n')]
    return [head('Transfer-Encoding: chunked'), Buffer.concat([...chunk, Buffer.from('0\r\n\r\n')])]
  }
  const whole = Buffer.concat([head(`Content-Length: ${body.length}`), body])
  return framing === 'pieces' ? [whole.subarray(0, whole.length >> 1), whole.subarray(whole.length >> 1)] : [whole]
}
