/** Requests made from the description of the API: valid ones, and ones in which something is wrong. */

import fc from 'fast-check'
import type { Description, Operation, Schema } from './api-description.ts'
import { hostileText } from './hostile-words.ts'

/** Stands for an id that is there when the request is sent: one of a kind, its own workspace's or another's. */
export class Place {
  readonly kind: string
  readonly pick: number

  constructor(kind: string, pick: number) {
    this.kind = kind
    this.pick = pick
  }
}

/** A request that is not filled in yet. */
export type Draft = {
  operation: Operation
  path: Record<string, unknown>
  query: Record<string, unknown>
  body: unknown
  /** What is wrong with it, beside what is in its values. */
  flaw: Flaw | undefined
  idempotencyKey: string | undefined
}

export const flaws = ['no key', 'unknown key', 'no type', 'cut', 'not json', 'not an object', 'too large'] as const
export type Flaw = (typeof flaws)[number]

/** Returns any request of an operation. */
export const draftOf = ({ resolve }: Description, operation: Operation): fc.Arbitrary<Draft> => {
  const values = (part: 'path' | 'query') =>
    fc
      .record(
        Object.fromEntries(
          operation.parameters
            .filter((one) => one.in === part)
            .map(({ name, schema }) => [name, anyValue(resolve, schema, kindOf(name, operation.path))]),
        ),
        {
          requiredKeys: operation.parameters.filter((one) => one.in === part && one.required).map(({ name }) => name),
        },
      )
      .chain((whole) => (part === 'path' ? fc.constant(whole) : spoiled(whole)))
  const body =
    operation.body === undefined
      ? fc.constant(undefined)
      : fc
          .oneof(anyValue(resolve, operation.body.schema, undefined), ...operation.body.examples.map(withPlaces))
          .chain((whole) => spoiled(whole))
  return fc.record({
    operation: fc.constant(operation),
    path: values('path') as fc.Arbitrary<Record<string, unknown>>,
    query: values('query') as fc.Arbitrary<Record<string, unknown>>,
    body,
    flaw: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.constantFrom(...flaws)),
    idempotencyKey: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      fc.constantFrom('one', 'two', 'three', '"one"', ' ', 'x'.repeat(256)),
    ),
  })
}

/** Which ids belong where, by the name of what they are given as; undefined: none do. */
const kindOf = (name: string, path = ''): string | undefined => {
  if (name === 'id') return /^\/api\/v1\/([a-z-]+)/.exec(path)?.[1]
  return places[name]
}

const places: Record<string, string> = {
  visitor_id: 'contacts',
  from: 'contacts',
  ids: 'conversations',
  assigned_user_id: 'users',
  user_id: 'users',
  website_id: 'sites',
  attachment_ids: 'attachments',
  after: 'messages',
  delivery_id: 'deliveries',
  visitor_token: 'tokens',
  cursor: 'cursors',
}

/** An example, with ids that are there in the place of those it was written with. */
const withPlaces = (example: unknown): fc.Arbitrary<unknown> =>
  fc.nat(1000).map((pick) => {
    const placed = (value: unknown, kind: string | undefined): unknown => {
      if (Array.isArray(value)) return value.map((one) => placed(one, kind))
      if (typeof value === 'string') return kind === undefined ? value : new Place(kind, pick)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, placed(one, kindOf(name))]))
    }
    return placed(example, undefined)
  })

// One time out of four a value of it is dropped, replaced or added.
const spoiled = (whole: unknown): fc.Arbitrary<unknown> => {
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole) || whole instanceof Place) {
    return fc.oneof({ weight: 6, arbitrary: fc.constant(whole) }, hostileValue)
  }
  const names = [...Object.keys(whole), 'unknown', '__proto__']
  const changed = fc
    .tuple(fc.constantFrom(...names), fc.option(hostileValue, { nil: undefined }))
    .map(([name, value]) => {
      const members = Object.entries(whole).filter(([key]) => key !== name)
      return Object.fromEntries(value === undefined ? members : [...members, [name, value]])
    })
  return fc.oneof({ weight: 3, arbitrary: fc.constant(whole as unknown) }, changed)
}

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom(null, true, 0, -1, 1.5, 2 ** 53, 1e308, [], {}, [[]], [null], { a: { b: [] } }),
  fc.constantFrom('x'.repeat(40_000), '2026-02-30T00:00:00Z', '0000-01-01T00:00:00Z', 'https://localhost:1/'),
  fc.constant(JSON.parse(`${'['.repeat(50)}${']'.repeat(50)}`)),
)

/** Returns values that a schema takes. */
const anyValue = (resolve: Description['resolve'], given: Schema, kind: string | undefined): fc.Arbitrary<unknown> => {
  const schema = resolve(given)
  const listed = [schema.anyOf, schema.oneOf].find(Array.isArray)
  if (listed) return fc.oneof(...listed.map((one: Schema) => anyValue(resolve, one, kind)))
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  const [type] = [schema.type].flat()
  if (type === 'object') return objectOf(resolve, schema)
  if (type === 'array') {
    const [min, max] = [Number(schema.minItems ?? 0), Math.min(4, Number(schema.maxItems ?? 4))]
    const items = (schema.items ?? {}) as Schema
    return fc.array(anyValue(resolve, items, kind), { minLength: min, maxLength: Math.max(min, max) })
  }
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer' || type === 'number') {
    return fc.integer({ min: Number(schema.minimum ?? 0), max: Math.min(Number(schema.maximum ?? 1000), 1000) })
  }
  if (type === 'null') return fc.constant(null)
  return textOf(schema, kind)
}

const objectOf = (resolve: Description['resolve'], schema: Schema): fc.Arbitrary<unknown> => {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>)
  if (properties.length === 0) {
    return fc.dictionary(fc.string({ maxLength: 8 }), fc.oneof(fc.string(), fc.integer(), fc.constant(null)), {
      maxKeys: 4,
    })
  }
  const required = Array.isArray(schema.required) ? schema.required.map(String) : []
  return fc.record(Object.fromEntries(properties.map(([name, one]) => [name, anyValue(resolve, one, kindOf(name))])), {
    requiredKeys: required,
  })
}

const textOf = (schema: Schema, kind: string | undefined): fc.Arbitrary<unknown> => {
  const place = kind && fc.nat(1000).map((pick) => new Place(kind, pick))
  if (place) return fc.oneof({ weight: 9, arbitrary: place }, hostileText)
  if (schema.format === 'date-time') {
    return fc
      .date({ min: new Date('2020-01-01'), max: new Date('2099-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString())
  }
  if (schema.format === 'uri')
    return fc.constantFrom('https://example.com/hook', 'http://192.0.2.1:8080/', 'https://[2001:db8::1]/')
  if (schema.format === 'email') return fc.nat(30).map((n) => `wild${n}@example.com`)
  if (typeof schema.pattern === 'string') return fc.stringMatching(new RegExp(schema.pattern))
  const min = Number(schema.minLength ?? 0)
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.string({ unit: 'grapheme', minLength: Math.max(1, min), maxLength: Math.max(min, 30) }),
    },
    hostileText,
  )
}
