/** What a start prints for people. */

import type { FirstStart } from './domain/bootstrap.ts'
import { snippet } from './snippet.ts'

/** Where this process is reached; `api` and `realtime` only where it runs these parts. */
export type StartAddresses = {
  api: string | undefined
  realtime: string | undefined
  probes: string | undefined
  appId: string
  appKey: string
}

/** Returns the lines of every start. `isOrdered` is whether there is a log to put events in order and to recover from. */
export const startLines = (
  { api, realtime, probes, appId, appKey }: StartAddresses,
  { isOrdered }: { isOrdered: boolean },
): string => {
  const lines = [
    ...(api ? [`  REST API    ${api}/api/v1`, `  Docs        ${api}/docs`, `  MCP         ${api}/api/mcp`] : []),
    ...(realtime ? [`  Realtime    ${realtime}`] : []),
    ...(probes ? [`  Worker      ${probes}/ready`] : []),
    `  Pusher app  id ${appId}, key ${appKey}`,
    ...(isOrdered
      ? []
      : [
          '',
          'Without DATABASE_URL: events are told in the order in which they arrive, and every `since` is answered',
          'with `recovered: false`.',
        ]),
  ]
  return `Hubbub is running.\n\n${lines.join('\n')}\n`
}

/** Returns what only the first start prints: the key, a request as visitor and as agent, and the listener. */
export const firstStartLines = (api: string, made: FirstStart): string => {
  const { workspace, apiKey, siteKey, visitorToken, conversation } = made
  // A key that was given by the environment is not printed: it stays there.
  const inShell = apiKey ?? '$BOOTSTRAP_API_KEY'
  const bearer = apiKey ? `'Bearer ${apiKey}'` : "'Bearer ' + process.env.BOOTSTRAP_API_KEY"
  return `
This is the first start. It made a workspace (${workspace}) with an admin, a site, a key and an empty thread:

  API key     ${apiKey ? `${apiKey}   (shown only now: keep it)` : 'as given in BOOTSTRAP_API_KEY'}
  Site key    ${siteKey}

Say something as the visitor:

curl -X POST '${api}/api/v1/chat/conversations/${visitorToken}/messages' -H 'X-Api-Key: ${siteKey}' -H 'Content-Type: application/json' -d '{"message":"Hello, is anyone there?"}'

Answer as an agent:

curl -X POST '${api}/api/v1/conversations/${conversation}/messages' -H "Authorization: Bearer ${inShell}" -H 'Content-Type: application/json' -d '{"content":"Yes! How can we help?"}'

Hear both: save this as demo.mjs in this folder and run  node demo.mjs

${snippet({ api, bearer })}`
}
