/** The document as it is served: what was collected of the routes, finished with what they share. */

import { z } from 'zod'
import { examples } from '../../../schema/muro/examples.ts'
import { readVersion } from '../../version.ts'
import { about, securitySchemes, tags } from './about.ts'
import { type Failure, failureExample, failures, headers, successes, usualHeaders, withHeaders } from './answers.ts'
import { noted, notedAs } from './routes.ts'
import { webhookParameters, webhooks } from './webhooks.ts'

const media = z.record(z.string(), z.looseObject({ schema: z.record(z.string(), z.unknown()).optional() }))
const answer = z.looseObject({ description: z.string(), content: media.optional() })
const operation = z.looseObject({
  tags: z.array(z.string()).optional(),
  parameters: z.array(z.unknown()).optional(),
  requestBody: z.looseObject({ required: z.boolean(), content: media }).optional(),
  responses: z.record(z.string(), answer),
  [notedAs]: noted,
})

/** What the plugin collects. */
const collected = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) }),
})

type Operation = z.infer<typeof operation>
type Answer = z.infer<typeof answer>
type Notes = z.infer<typeof noted>
type Schemas = Record<string, Record<string, unknown>>

const reference = '#/components/schemas/'

/** Finishes the document; the address of the API is left to who serves it. */
export const finishDocument = (swagger: unknown) => {
  const { paths, components } = collected.parse(swagger)
  const finish = createFinisher(components.schemas)
  const finished = mapValues(paths, (operations) => mapValues(operations, finish.operation))
  const used = new Set([...partsOf(paths), ...partsOf(webhooks)])
  const schemas = withExamples(components.schemas)
  const responses = finish.shared()
  return {
    openapi: '3.1.0',
    info: {
      title: 'Hubbub API',
      version: readVersion(),
      summary: 'Conversations, messages and contacts of a chat hub, and every event of them.',
      description: about,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    tags: tags.filter(({ name }) => used.has(name)),
    paths: finished,
    webhooks,
    components: {
      securitySchemes,
      parameters: { IdempotencyKey: idempotencyKey, ...webhookParameters },
      headers,
      responses,
      schemas: reachable(schemas, [finished, webhooks, responses]),
    },
  }
}

const idempotencyKey = {
  in: 'header',
  name: 'Idempotency-Key',
  description:
    'Yours, for this request: where it comes again with the same key and the same body within 24 hours, it acts once, and ' +
    'is answered what it was answered first.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
  example: '2f1c8a52-8f0e-4a3b-9d55-6f3f0f9f8a11',
}

const partsOf = (paths: Record<string, Record<string, { tags?: string[] | undefined }>>): string[] =>
  Object.values(paths).flatMap((operations) => Object.values(operations).flatMap(({ tags: parts = [] }) => parts))

/** Finishes operations; the errors that they share are gathered on the way. */
const createFinisher = (schemas: Schemas) => {
  const shared = new Map<string, unknown>()

  const failed = (failure: Failure, one: Answer, notes: Notes) => {
    const waits = waited.has(failure.code) ? (['Retry-After'] as const) : []
    const schema = schemaOf(one)
    if (!schema?.endsWith('Error')) {
      const own = schema === undefined ? undefined : schemas[schema]?.description
      return { ...one, description: own ?? failure.description, headers: withHeaders(...usual(notes), ...waits) }
    }
    const name = schema.replace(/Error$/, '') + failure.name
    const example = schema === 'Error' ? { example: failureExample(failure) } : {}
    shared.set(name, {
      description: failure.description,
      headers: withHeaders(...usualHeaders, ...waits),
      content: { 'application/json': { schema: { $ref: reference + schema }, ...example } },
    })
    return { $ref: `#/components/responses/${name}` }
  }

  const succeeded = (status: string, one: Answer, notes: Notes) => ({
    ...one,
    description: one.description === unnamed ? (successes[status] ?? 'OK.') : one.description,
    headers: withHeaders(...usual(notes), ...(notes.takesClaim ? (['Idempotent-Replayed'] as const) : [])),
  })

  return {
    operation: (given: Operation) => {
      const { [notedAs]: notes, parameters = [], requestBody, responses, ...rest } = given
      const all = [...parameters, ...(notes.takesClaim ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : [])]
      return {
        ...rest,
        ...(all.length > 0 ? { parameters: all } : {}),
        ...(requestBody ? { requestBody: { ...requestBody, required: !notes.mayLackBody } } : {}),
        responses: Object.fromEntries(
          Object.entries({ ...impliedBy(given), ...responses }).map(([status, one]) => {
            const failure = failures[status]
            return [status, failure ? failed(failure, one, notes) : succeeded(status, one, notes)]
          }),
        ),
      }
    },
    shared: () => Object.fromEntries([...shared].sort(([a], [b]) => a.localeCompare(b))),
  }
}

// Of 409 it is for who asks while the first request with the same Idempotency-Key still runs.
const waited = new Set<Failure['code']>(['rate_limited', 'idempotency_mismatch'])

// What the plugin says where nothing is said.
const unnamed = 'Default Response'

const usual = ({ isCounted }: Notes) => (isCounted ? usualHeaders : (['X-Request-Id'] as const))

/** What may be answered wherever there is a body, or an Idempotency-Key; in the shape of the route's other errors. */
const impliedBy = ({ requestBody, responses, [notedAs]: { takesClaim } }: Operation): Record<string, Answer> => {
  const like = responses['403']
  if (!like) return {}
  const statuses = [...(requestBody ? ['413', '415'] : []), ...(takesClaim ? ['409'] : [])]
  return Object.fromEntries(statuses.map((status) => [status, like]))
}

/** Returns the name of the schema of an answer that is nothing but JSON of it. */
const schemaOf = ({ content = {} }: Answer): string | undefined => {
  const [[type, { schema }] = ['', {}], ...others] = Object.entries(content)
  const ref = schema?.$ref
  return type === 'application/json' && others.length === 0 && typeof ref === 'string'
    ? ref.slice(reference.length)
    : undefined
}

const withExamples = (schemas: Schemas) => {
  const byId = new Map([...examples].map(([contract, example]) => [z.globalRegistry.get(contract)?.id, example]))
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [
      id,
      byId.has(id) && !('examples' in schema) ? { ...schema, examples: [byId.get(id)] } : schema,
    ]),
  )
}

/** Leaves out the schemas that nothing refers to, from the roots on. */
const reachable = (schemas: Record<string, unknown>, roots: unknown) => {
  const kept = new Set<string>()
  const walk = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (kept.has(name)) continue
      kept.add(name)
      walk(schemas[name] ?? null)
    }
  }
  walk(roots)
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => kept.has(name)))
}

const mapValues = <T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
