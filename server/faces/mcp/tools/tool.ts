/** A tool: what a model is told of it, which scope it needs, and how it is called. */

import type { Tool as ListedTool, ToolAnnotations } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { HubbubError } from '../../../../schema/errors.ts'
import type { KeyScope } from '../../../../schema/ids.ts'
import { type toolInputs, toolSchemaOf } from '../../../../schema/mcp.ts'
import type { Ai } from '../../../ai/ai.ts'
import type { AgentScope, Context } from '../../../domain/context.ts'

/** What a call is given: the means, in whose name it acts, and what waits for somebody outside. */
export type Call = {
  context: Context
  agent: AgentScope
  ai: Ai | undefined
  outside<T>(wait: () => Promise<T>): Promise<T>
}

export type ToolName = keyof typeof toolInputs

/** A tool as it is listed and called; `call` throws what went wrong. */
export type Tool = {
  scope: KeyScope
  listed: ListedTool
  call(call: Call, args: unknown): Promise<Record<string, unknown>>
}

/** How it is declared; `aliases` are other spellings of its arguments that are taken too. */
type Declaration<Input extends z.ZodObject, Output extends z.ZodObject> = {
  name: ToolName
  title: string
  description: string
  scope: KeyScope
  hints: ToolAnnotations
  input: Input
  output: Output
  aliases?: Record<string, keyof z.infer<Input> & string>
  run(call: Call, input: z.output<Input>): Promise<z.infer<Output>>
}

/** Makes a tool of its declaration. */
export const defineTool = <Input extends z.ZodObject, Output extends z.ZodObject>({
  name,
  title,
  description,
  scope,
  hints,
  input,
  output,
  aliases = {},
  run,
}: Declaration<Input, Output>): Tool => ({
  scope,
  listed: {
    name,
    title,
    description,
    inputSchema: toolSchemaOf(input),
    outputSchema: toolSchemaOf(output),
    annotations: { title, ...hints },
  },
  call: async (call, args) => await run(call, check(input, spelled(aliases, args ?? {}))),
})

/** What only reads. */
export const reading: ToolAnnotations = { readOnlyHint: true, openWorldHint: false }

/** What sets something to what is asked for, however often it is asked. */
export const setting: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
}

const spelled = (aliases: Record<string, string>, args: unknown): unknown => {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) return args
  const known = new Map(Object.entries(aliases))
  const isTaken = (name: string | undefined) => name !== undefined && Object.hasOwn(args, name)
  // Named twice, the alias stays as it is, and is refused as an argument that is not known.
  const rename = (name: string) => (isTaken(known.get(name)) ? name : (known.get(name) ?? name))
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [rename(name), value]))
}

const check = <Input extends z.ZodObject>(input: Input, args: unknown): z.output<Input> => {
  const parsed = input.safeParse(args, { error: sayMissing })
  if (parsed.success) return parsed.data
  const [first] = parsed.error.issues
  if (first?.code === 'unrecognized_keys') {
    const [param = ''] = first.keys
    const known = Object.keys(input.shape).join(', ')
    throw new HubbubError('invalid', `${param}: is not an argument of this tool; it takes ${known}`, { param })
  }
  const param = first?.path.join('.') ?? ''
  const message = `${param || 'arguments'}: ${first?.message ?? 'are not valid'}`
  throw new HubbubError('invalid', message, param === '' ? {} : { param })
}

const sayMissing = ({ code, input }: z.core.$ZodRawIssue): string | undefined =>
  code === 'invalid_type' && input === undefined ? 'is required' : undefined
