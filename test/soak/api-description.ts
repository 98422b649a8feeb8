/** The API as it describes itself: its operations, and whether an answer is one that is documented. */

import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { z } from 'zod'
import { call } from '../support/http.ts'

/** A JSON Schema, as far as requests are made from it. */
export type Schema = { [keyword: string]: unknown }

export type Parameter = { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: Schema }

export type Operation = {
  id: string
  method: string
  path: string
  parameters: Parameter[]
  /** Of a JSON body; undefined where it takes none, or another kind. */
  body: { schema: Schema; required: boolean; examples: unknown[] } | undefined
  /** The scopes of the API key that it asks for; none where it is asked with another key. */
  scopes: string[]
  /** The statuses that are documented. */
  statuses: number[]
}

export type Description = {
  operations: Operation[]
  /** Follows a reference. */
  resolve(schema: Schema): Schema
  /** Says what is wrong with an answer; undefined: it is as documented. */
  judge(operation: Operation, status: number, type: string, body: unknown): string | undefined
}

const schema = z.record(z.string(), z.unknown())
const media = z.record(z.string(), z.object({ schema: schema.optional() }).loose())
const document = z
  .object({
    paths: z.record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          operationId: z.string(),
          security: z.array(z.record(z.string(), z.array(z.string()))),
          parameters: z.array(z.object({ $ref: z.string().optional() }).loose()).optional(),
          requestBody: z.object({ content: media, required: z.boolean().optional() }).loose().optional(),
          responses: z.record(z.string(), schema),
        }),
      ),
    ),
  })
  .loose()
const parameter = z.object({
  name: z.string(),
  in: z.enum(['path', 'query', 'header']),
  required: z.boolean().default(false),
  schema,
})

const examplesOf = (...places: Schema[]): unknown[] =>
  places.flatMap(({ example, examples }) => [
    ...(example === undefined ? [] : [example]),
    ...(Array.isArray(examples) ? examples : Object.values(schema.optional().parse(examples) ?? {})),
  ])

/** Reads the description that an API serves. */
export const readDescription = async (api: string): Promise<Description> => {
  const { body } = await call(api, 'GET', '/api/v1/openapi.json')
  const parsed = document.parse(body)
  const ajv = new Ajv2020.default({ strict: false, allErrors: false })
  addFormats.default(ajv)
  ajv.addSchema(parsed, 'api')

  const at = (pointer: string): unknown =>
    pointer
      .replace(/^#\//, '')
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>((value, part) => schema.parse(value)[part], parsed)
  const resolve = (one: Schema): Schema => (typeof one.$ref === 'string' ? resolve(schema.parse(at(one.$ref))) : one)

  const operations = Object.entries(parsed.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]): Operation => {
      const { operationId, security, parameters = [], requestBody, responses } = described
      const json = requestBody?.content['application/json']
      return {
        id: operationId,
        method: method.toUpperCase(),
        path,
        parameters: parameters.map((one) => parameter.parse(resolve(one))),
        body: json?.schema && {
          schema: json.schema,
          required: requestBody?.required ?? false,
          examples: examplesOf(json, resolve(json.schema)),
        },
        scopes: security.flatMap(({ apiKey = [] }) => apiKey),
        statuses: Object.keys(responses).map(Number),
      }
    }),
  )

  const pointerOf = ({ path, method }: Operation, status: number): string => {
    const escaped = path.replaceAll('~', '~0').replaceAll('/', '~1')
    const pointer = `#/paths/${escaped}/${method.toLowerCase()}/responses/${status}`
    const { $ref } = schema.parse(at(pointer))
    return typeof $ref === 'string' ? $ref : pointer
  }
  const judge: Description['judge'] = (operation, status, type, answered) => {
    if (!operation.statuses.includes(status)) return `${status} is not documented`
    const pointer = pointerOf(operation, status)
    const content = media.optional().parse(schema.parse(at(pointer)).content)
    if (!content) return answered === undefined ? undefined : `${status} is documented without a body`
    const [given = ''] = type.split(';')
    if (given !== 'application/json') return content[given] ? undefined : `${given} is not documented for ${status}`
    if (!content[given]?.schema) return `${status} has no documented shape`
    const $ref = `api${encodeURI(`${pointer}/content/application~1json/schema`)}`
    const check = ajv.getSchema($ref) ?? ajv.compile({ $ref })
    return check(answered) ? undefined : `${status}: ${ajv.errorsText(check.errors)}`
  }
  return { operations, resolve, judge }
}
