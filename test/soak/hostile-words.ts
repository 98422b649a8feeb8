/** What a hostile client puts where a word or a value belongs: arbitraries that the frames and requests are made of. */

import fc from 'fast-check'

/** A JSON text. A text and not a value, since no value is written with a key twice, or as 1e999. */
export type Json = string

/** The members of an object in their order; a key may come twice. */
export type Members = readonly (readonly [key: string, value: Json])[]

export const writeObject = (members: Members): Json =>
  `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`

/** Names that every object has, or that make it another. */
const inherited = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', 'then', 'toJSON']

export const hostileText = fc.oneof(
  fc.constantFrom(...inherited),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    'x\udfff',
    '\ud83d\ude00',
    '\u2028',
    'a\nb',
    'a\r\nb',
    '\ufeff',
    '../..',
  ),
  fc.constantFrom(
    'null',
    'undefined',
    '0',
    '-1',
    '1e999',
    'NaN',
    '[]',
    '{}',
    '%',
    '%00',
    '%ff',
    '%E0%A4%A',
    '%2F',
    '*',
    ':',
  ),
  fc.constantFrom(164, 165, 200, 201, 5000).map((length) => 'x'.repeat(length)),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

/** Channels of each kind that both apps use, those of users and of the chat, and what is none. */
export const channelNames = [
  'news',
  'private-desk',
  'private-encrypted-desk',
  'presence-desk',
  'cache-board',
  'private-cache-board',
  'presence-cache-board',
  '#server-to-user-7',
  '#server-to-user-__proto__',
  '#server-to-user-',
  'private-org-org_1',
  'private-conv-cnv_1',
  'private-visitor-cnv_1',
  'presence-org-org_1',
  'presence-conv-cnv_1',
  'presence-__proto__',
  'private-constructor',
  '__proto__',
  'private-',
  'presence-',
] as const

export const hostileChannel = fc.oneof(
  // Some often, for what is said of a channel that is joined.
  { weight: 2, arbitrary: fc.constantFrom('private-desk', 'presence-desk') },
  { weight: 6, arbitrary: fc.constantFrom(...channelNames) },
  { weight: 1, arbitrary: hostileText },
)

/** A value within thousands of others: to write it takes more stack than there is. Written when it is sent. */
const nested = fc
  .tuple(fc.constantFrom(10, 500, 3000, 6000, 14_000), fc.constantFrom('arrays', 'objects'))
  .map(([levels, kind]) => `"@${levels} ${kind}"`)

/** Writes out what stands for something long, or for the seconds of the day. */
export const expand = (text: string): string =>
  text
    .replaceAll(now, () => String(Math.floor(Date.now() / 1000)))
    .replace(/"@(\d+) (arrays|objects)"/g, (_, levels, kind) =>
      kind === 'arrays'
        ? '['.repeat(Number(levels)) + ']'.repeat(Number(levels))
        : `${'{"a":'.repeat(Number(levels) / 3)}0${'}'.repeat(Number(levels) / 3)}`,
    )

/** In place of the seconds of the day. */
export const now = '"@now"'

const oddJson = fc.constantFrom(
  'null',
  'true',
  '0',
  '-0',
  '1e999',
  '-1.5e-999',
  '123456789012345678901234567890',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '[]',
  '{}',
  '[null]',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"toJSON":2,"then":3,"length":-1}',
)

/** Any value, mostly of a wrong type. */
export const hostileJson: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: oddJson },
  { weight: 2, arbitrary: hostileText.map((text) => JSON.stringify(text)) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: nested },
)

/** A member that is as it should be more often than not. */
export const field = (key: string, right: fc.Arbitrary<Json>): fc.Arbitrary<[string, Json]> =>
  fc.tuple(fc.constant(key), fc.oneof({ weight: 4, arbitrary: right }, { weight: 1, arbitrary: hostileJson }))

/** The id of a user, as JSON. */
export const userId = fc.oneof(
  fc.constantFrom('"7"', '7', '"8"', '"__proto__"', '"constructor"', '-0', '1e999', '"a\\nb"', '"\\ud800"'),
  hostileText.map((text) => JSON.stringify(text)),
)

/** What is done to an object before it is written: a member is replaced, comes twice, or is gone. */
export type Twist = { key: string; kind: 'replace' | 'double' | 'drop'; value: Json }

/** Makes twists of members that may be called so. */
export const twistOf = (...keys: string[]): fc.Arbitrary<Twist> =>
  fc.record({
    key: fc.constantFrom(...keys, ...inherited),
    kind: fc.constantFrom('replace', 'double', 'drop'),
    value: hostileJson,
  })

export const twist = (members: Members, { key, kind, value }: Twist): Members => {
  if (kind === 'double') return [...members, [key, value]]
  const others = members.filter(([name]) => name !== key)
  return kind === 'drop' ? others : [...others, [key, value]]
}

/** What is done to a text after it was written; `at` is a part of its length. */
export type Wound = { kind: 'cut' | 'splice' | 'repeat'; at: number; text: string }

export const wound: fc.Arbitrary<Wound> = fc.record({
  kind: fc.constantFrom('cut', 'splice', 'repeat'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  text: fc.oneof(fc.constantFrom('"', '}', '{', ',', '\\', '\\u', '\0', '/*', '&', '=', '%'), hostileText),
})

export const hurt = (whole: string, { kind, at, text }: Wound): string => {
  const place = Math.floor(at * whole.length)
  if (kind === 'cut') return whole.slice(0, place)
  return whole.slice(0, place) + (kind === 'splice' ? text : whole) + whole.slice(place)
}
