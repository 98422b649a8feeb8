/**
 * A server with everything that the conformance suite asks of a test server: tools, resources and prompts that the
 * product does not have. It shows what the route can carry.
 */

import { setTimeout as pause } from 'node:timers/promises'
import {
  acceptedContent,
  type CallToolResult,
  createRequestStateCodec,
  type InputRequest,
  inputRequired,
  inputResponse,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA='

// One key for all, as the nodes of an installation would have: a request may be answered by another than the one before.
const states = createRequestStateCodec<{ step: string }>({ key: 'a key of tests that is long enough for it' })

const text = (said: string): CallToolResult => ({ content: [{ type: 'text', text: said }] })

const ask = (message: string, field: string): InputRequest =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [field]: { type: 'string' } }, required: [field] },
  })

const confirm = inputRequired.elicit({
  message: 'Please confirm',
  requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
})

const sample = (question: string, maxTokens = 100): InputRequest =>
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: question } }],
    maxTokens,
  })

const resource = (uri: string, said: string, mimeType = 'text/plain') => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: said },
})

// A server that lives for one message has nobody to tell of a change.
const fixed = { listChanged: false }

/** Makes the server for one message. */
export const createEverything = (): McpServer => {
  const server = new McpServer(
    { name: 'everything', version: '1' },
    {
      capabilities: { tools: fixed, resources: fixed, prompts: fixed, logging: {}, completions: {} },
      requestState: { verify: states.verify },
    },
  )
  addContents(server)
  addNotifications(server)
  addInputs(server)
  addHeader(server)
  addResources(server)
  addPrompts(server)
  server.server.setRequestHandler('completion/complete', () => ({ completion: { values: ['paris', 'park'] } }))
  return server
}

type Answer = CallToolResult | ReturnType<typeof inputRequired>

const addTool = (server: McpServer, name: string, call: (context: ServerContext) => Answer | Promise<Answer>): void => {
  server.registerTool(name, { description: `The tool ${name} of the conformance suite.` }, call)
}

const addContents = (server: McpServer): void => {
  const image = { type: 'image' as const, data: png, mimeType: 'image/png' }
  const mixed = resource('test://mixed-content-resource', '{"test":"data","value":123}', 'application/json')
  addTool(server, 'test_simple_text', () => text('This is a simple text response for testing.'))
  addTool(server, 'test_image_content', () => ({ content: [image] }))
  addTool(server, 'test_audio_content', () => ({ content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }))
  addTool(server, 'test_embedded_resource', () => ({
    content: [resource('test://embedded-resource', 'This is an embedded resource content.')],
  }))
  addTool(server, 'test_multiple_content_types', () => ({
    content: [{ type: 'text', text: 'Multiple content types test:' }, image, mixed],
  }))
  addTool(server, 'test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
}

const addNotifications = (server: McpServer): void => {
  addTool(server, 'test_tool_with_progress', async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
      await pause(5)
    }
    return text('Done.')
  })
  for (const name of ['test_tool_with_logging', 'test_logging_tool'])
    addTool(server, name, async ({ mcpReq }) => {
      for (const said of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await mcpReq.log('info', said)
        await pause(5)
      }
      return text('Done.')
    })
}

const addInputs = (server: McpServer): void => {
  addTool(server, 'test_input_required_result_elicitation', ({ mcpReq }) => {
    const name = acceptedContent(mcpReq.inputResponses, 'user_name', z.object({ name: z.string() }))?.name
    if (name !== undefined) return text(`Hello, ${name}!`)
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } })
  })
  addTool(server, 'test_input_required_result_sampling', ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, 'capital_question')
    if (given.kind === 'sampling') return text(JSON.stringify(given.result.content))
    return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?') } })
  })
  addTool(server, 'test_input_required_result_list_roots', ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, 'client_roots')
    if (given.kind === 'roots') return text(JSON.stringify(given.roots))
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
  })
  for (const name of ['request_state', 'tampered_state'])
    addTool(server, `test_input_required_result_${name}`, async ({ mcpReq }) => {
      if (mcpReq.requestState() !== undefined) return text('state-ok')
      return inputRequired({ inputRequests: { confirm }, requestState: await states.mint({ step: 'asked' }) })
    })
  addTool(server, 'test_input_required_result_multiple_inputs', async ({ mcpReq }) => {
    const given = ['user_name', 'greeting', 'client_roots'].map((key) => inputResponse(mcpReq.inputResponses, key).kind)
    if (!given.includes('missing')) return text(given.join(', '))
    const inputRequests = {
      user_name: ask('What is your name?', 'name'),
      greeting: sample('Generate a greeting', 50),
      client_roots: inputRequired.listRoots(),
    }
    return inputRequired({ inputRequests, requestState: await states.mint({ step: 'asked' }) })
  })
  addTool(server, 'test_input_required_result_multi_round', async ({ mcpReq }) => {
    const { step = 'none' } = mcpReq.requestState<{ step: string }>() ?? {}
    if (step === 'colour') return text('Thank you.')
    const [key, question, field, next] =
      step === 'name'
        ? (['step2', 'Step 2: What is your favorite color?', 'color', 'colour'] as const)
        : (['step1', 'Step 1: What is your name?', 'name', 'name'] as const)
    const requestState = await states.mint({ step: next })
    return inputRequired({ inputRequests: { [key]: ask(question, field) }, requestState })
  })
  addTool(server, 'test_input_required_result_capabilities', () => {
    const { sampling, elicitation } = server.server.getClientCapabilities() ?? {}
    const asked = sampling ? { said: sample('What is it?') } : elicitation ? { name: ask('Your name?', 'name') } : {}
    return inputRequired({ inputRequests: asked })
  })
  addTool(server, 'test_streaming_elicitation', () =>
    inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } }),
  )
  addTool(server, 'test_missing_capability', () => inputRequired({ inputRequests: { said: sample('What is it?') } }))
}

/** A tool with an argument that is a header too. */
const addHeader = (server: McpServer): void => {
  const region = z.string().meta({ 'x-mcp-header': 'Region' })
  const described = { description: 'Its argument is a header too.', inputSchema: z.object({ region }) }
  server.registerTool('test_x_mcp_header', described, ({ region: given }) => text(given))
}

const addResources = (server: McpServer): void => {
  const described = { description: 'A resource of the conformance suite.' }
  server.registerResource(
    'static-text',
    'test://static-text',
    { ...described, mimeType: 'text/plain' },
    ({ href }) => ({
      contents: [{ uri: href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
    }),
  )
  server.registerResource(
    'static-binary',
    'test://static-binary',
    { ...described, mimeType: 'image/png' },
    ({ href }) => ({
      contents: [{ uri: href, mimeType: 'image/png', blob: png }],
    }),
  )
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  server.registerResource('template', template, described, ({ href }, { id }) => ({
    contents: [
      {
        uri: href,
        mimeType: 'application/json',
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      },
    ],
  }))
}

const addPrompts = (server: McpServer): void => {
  const says = (said: string) => ({ role: 'user' as const, content: { type: 'text' as const, text: said } })
  const described = { description: 'A prompt of the conformance suite.' }
  server.registerPrompt('test_simple_prompt', described, () => ({
    messages: [says('This is a simple prompt for testing.')],
  }))
  server.registerPrompt(
    'test_prompt_with_arguments',
    { ...described, argsSchema: z.object({ arg1: z.string(), arg2: z.string() }) },
    ({ arg1, arg2 }) => ({ messages: [says(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  )
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { ...described, argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        { role: 'user', content: resource(resourceUri, 'Embedded resource content for testing.') },
        says('Please process the embedded resource above.'),
      ],
    }),
  )
  server.registerPrompt('test_prompt_with_image', described, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } },
      says('Please analyze the image above.'),
    ],
  }))
  server.registerPrompt('test_input_required_result_prompt', described, ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, 'user_context', z.object({ context: z.string() }))
    if (given) return { messages: [says(given.context)] }
    return inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } })
  })
}
