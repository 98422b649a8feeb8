/** Frames of a hostile client: made like valid ones, then spoiled, and sent in ways that valid ones are not. */

import fc from 'fast-check'
import { type AppCredentials, signChannel } from '../../auth/channel-signature.ts'
import { maskedFrame, opcodes } from './bare-connection.ts'
import {
  expand,
  field,
  hostileChannel,
  hostileJson,
  hostileText,
  hurt,
  type Json,
  type Members,
  now,
  type Twist,
  twist,
  twistOf,
  userId,
  type Wound,
  wound,
  writeObject,
} from './hostile-words.ts'

/** How the signature is: of this socket, of another one, made with a secret that is not the app's, or not there. */
type Seal = 'right' | 'stale' | 'wrong' | 'none'

type Said =
  | { kind: 'subscribe'; channel: string; channelData: string | undefined; seal: Seal }
  | { kind: 'unsubscribe'; channel: string }
  | { kind: 'signin'; userData: string; seal: Seal }
  | { kind: 'client'; event: string; channel: string; data: Json }
  | { kind: 'other'; event: string; data: Json }

/** How it goes over the wire. */
type Carriage =
  | { kind: 'whole' | 'binary' | 'unmasked' | 'data as text' }
  | { kind: 'fragments'; at: readonly number[]; pingBetween: boolean }
  | { kind: 'spoiled bytes'; at: number; bytes: readonly number[] }
  | { kind: 'padded'; length: number }

export type HostileFrame = {
  said: Said
  outer: readonly Twist[]
  inner: readonly Twist[]
  wounds: readonly Wound[]
  carriage: Carriage
}

const seal = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Seal>('right') },
  { weight: 1, arbitrary: fc.constantFrom<Seal>('stale', 'wrong', 'none') },
)

const grant = fc
  .tuple(
    field('workspace', fc.constantFrom('"org_1"', '"org_2"')),
    field('key', fc.constantFrom('"key_1"', '"key_2"', '"__proto__"')),
    field('iat', fc.constant(now)),
    field('write', fc.constant('true')),
    field('since', fc.constantFrom('0', '1', '99', '"invalid"')),
    field('exp', fc.constant('99999999999')),
  )
  .chain((members) => fc.subarray<readonly [string, Json]>(members))
  .map(writeObject)

const channelData = fc.option(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(
          field('user_id', userId),
          field('user_info', fc.constantFrom('{}', '{"name":"M"}')),
          field('hubbub', grant),
        )
        .chain((members) => fc.subarray<readonly [string, Json]>(members))
        .map(writeObject),
    },
    { weight: 1, arbitrary: hostileJson },
    { weight: 1, arbitrary: hostileText },
  ),
  { nil: undefined, freq: 3 },
)

/** More than a watchlist may hold. */
const manyUsers = JSON.stringify(Array.from({ length: 150 }, (_, index) => `user-${index}`))

const userData = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        field('id', fc.constantFrom('"7"', '"8"', '7', '"__proto__"')),
        field('user_info', fc.constant('{}')),
        field('watchlist', fc.constantFrom('["7"]', '["7","8","__proto__"]', '[7,null]', manyUsers)),
      )
      .map(writeObject),
  },
  { weight: 1, arbitrary: hostileJson },
)

const said: fc.Arbitrary<Said> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('subscribe' as const), channel: hostileChannel, channelData, seal }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), channel: hostileChannel }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('signin' as const), userData, seal }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('client' as const),
      event: fc.oneof(fc.constantFrom('client-x', 'client-', 'client-__proto__'), hostileText),
      channel: hostileChannel,
      data: hostileJson,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('other' as const),
      event: fc.oneof(
        fc.constantFrom('pusher:ping', 'pusher:pong', 'pusher:error', 'pusher:signin_success'),
        fc.constantFrom('pusher_internal:subscription_succeeded', 'pusher_internal:member_added'),
        hostileText,
      ),
      data: hostileJson,
    }),
  },
)

const part = fc.double({ min: 0, max: 1, noNaN: true })

const carriage: fc.Arbitrary<Carriage> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Carriage>({ kind: 'whole' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Carriage>({ kind: 'binary' }, { kind: 'data as text' }, { kind: 'unmasked' }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fragments' as const),
      at: fc.array(part, { minLength: 1, maxLength: 4 }),
      pingBetween: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('spoiled bytes' as const),
      at: part,
      bytes: fc.constantFrom([0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('padded' as const),
      length: fc.constantFrom(32_000, 32_768, 33_000, 70_000),
    }),
  },
)

const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(arbitrary, { minLength: 1, maxLength: 2 }) },
  )

export const hostileFrame: fc.Arbitrary<HostileFrame> = fc.record({
  said,
  outer: seldom(twistOf('event', 'data', 'channel', 'user_id')),
  inner: seldom(twistOf('channel', 'auth', 'channel_data', 'user_data')),
  wounds: seldom(wound),
  carriage,
})

/** Whose word it is: an app's, on one of its sockets. */
type Speaker = { app: AppCredentials; socketId: string }

/** Writes a frame as bytes. */
export const writeFrame = ({ said, outer, inner, wounds, carriage }: HostileFrame, speaker: Speaker): Buffer => {
  const { members, data } = membersOf(said, speaker)
  const written = expand(typeof data === 'string' ? data : writeObject(inner.reduce(twist, data)))
  const carried = carriage.kind === 'data as text' ? JSON.stringify(written) : written
  const whole = expand(writeObject(outer.reduce(twist, [...members, ['data', carried]])))
  return carry(wounds.reduce(hurt, whole), carriage)
}

const membersOf = (said: Said, speaker: Speaker): { members: Members; data: Members | Json } => {
  const eventOf = (event: string): [string, Json] => ['event', JSON.stringify(event)]
  if (said.kind === 'other') return { members: [eventOf(said.event)], data: said.data }
  if (said.kind === 'client') {
    return { members: [eventOf(said.event), ['channel', JSON.stringify(said.channel)]], data: said.data }
  }
  const members = [eventOf(`pusher:${said.kind}`)]
  if (said.kind === 'signin') {
    const text = expand(said.userData)
    const auth = authOf(said.seal, speaker, (id, app) => signChannel(app, id, `:user::${text}`))
    return { members, data: [...auth, ['user_data', JSON.stringify(text)]] }
  }
  const channel: [string, Json] = ['channel', JSON.stringify(said.channel)]
  if (said.kind === 'unsubscribe') return { members, data: [channel] }
  const text = said.channelData === undefined ? undefined : expand(said.channelData)
  const auth = authOf(said.seal, speaker, (id, app) => signChannel(app, id, said.channel, text))
  return {
    members,
    data: [channel, ...auth, ...(text === undefined ? [] : [['channel_data', JSON.stringify(text)] as const])],
  }
}

const authOf = (seal: Seal, { app, socketId }: Speaker, sign: (id: string, app: AppCredentials) => string): Members => {
  if (seal === 'none') return []
  const auth =
    seal === 'wrong' ? sign(socketId, { ...app, secret: 'a guess' }) : sign(seal === 'stale' ? '1.1' : socketId, app)
  return [['auth', JSON.stringify(auth)]]
}

const carry = (text: string, carriage: Carriage): Buffer => {
  const bytes = Buffer.from(text)
  if (carriage.kind === 'binary') return maskedFrame(bytes, opcodes.binary)
  if (carriage.kind === 'padded') return maskedFrame(Buffer.from(text.padEnd(carriage.length)))
  if (carriage.kind === 'unmasked')
    return Buffer.concat([Buffer.from([0x81, Math.min(bytes.length, 125)]), bytes.subarray(0, 125)])
  if (carriage.kind === 'spoiled bytes') {
    const place = Math.floor(carriage.at * bytes.length)
    return maskedFrame(Buffer.concat([bytes.subarray(0, place), Buffer.from(carriage.bytes), bytes.subarray(place)]))
  }
  if (carriage.kind !== 'fragments') return maskedFrame(bytes)
  const places = [...carriage.at.map((at) => Math.floor(at * bytes.length)).sort((a, b) => a - b), bytes.length]
  return Buffer.concat(
    places.flatMap((place, index) => {
      const piece = bytes.subarray(places[index - 1] ?? 0, place)
      const opcode = index === 0 ? opcodes.text : opcodes.continuation
      const frame = maskedFrame(piece, opcode, index === places.length - 1)
      return carriage.pingBetween ? [frame, maskedFrame(Buffer.from('p'), opcodes.ping)] : [frame]
    }),
  )
}
