/** What the document says in words: what holds for every request, and what the parts of the API are. */

import { caps } from '../../../schema/muro/conventions.ts'
import { retrySchedule } from '../../../schema/muro/webhooks.ts'

const kilobytes = (bytes: number): string => `${bytes / 1024} KB`

const duration = (seconds: number): string =>
  seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`

/** What holds everywhere, as Markdown. */
export const about = `Read conversations, reply, and keep contacts in step from your own code: JSON in, JSON out, one
Bearer key. Everything lives under \`/api/v1\`. Within it fields, events and endpoints may be added; none is taken away or
changed.

## Authentication

Send your API key with every request: \`Authorization: Bearer mr_live_…\`. It is shown once, when it is made. A key has
scopes: \`read\` lists and fetches, \`write\` changes and sends. It acts in the name of the user it was made for. It may
have an end, and may be revoked, at once. It may be pinned to one site: then it reaches nothing else. What belongs to
another site or workspace is a 404.

The routes of the site chat are for browsers of visitors: they take the public site key in \`X-Api-Key\`, and answer
pages of the origins of the site only.

## Requests and answers

Bodies are \`application/json\` in UTF-8; another content type is a 415. A body has at most 1 MiB, a message
${kilobytes(caps.content)}, metadata ${kilobytes(caps.metadata)}, a search ${caps.q} characters, a conversation ${caps.tags} tags of
${caps.tag} characters, a bulk action ${caps.bulk} ids. Fields that are not known are ignored, but in the conditions
and actions of a rule. Times are ISO 8601 in UTC.

CORS is open, and every route answers \`OPTIONS\` and, where it answers \`GET\`, \`HEAD\`. Every answer carries an
\`X-Request-Id\`; quote it when you ask for help.

## Lists

A list is \`{"object": "list", "data": […], "has_more": …, "next_cursor": …}\`. Send \`next_cursor\` back as \`?cursor=\`
until it is null; \`?limit=\` is 25 where you do not say, and at most 100.

## Errors

Whatever is not a 2xx answers \`{"error": {"type", "message", "code", "param"}}\`. The types are
\`authentication_error\` (401), \`permission_error\` (403), \`not_found\` (404), \`rate_limit_error\` (429),
\`invalid_request_error\` (any other 4xx) and \`api_error\` (5xx); \`code\` is finer, and \`param\` names the input at fault.
The site chat answers \`{"error": "…"}\`.

## Idempotency

Send an \`Idempotency-Key\` with any \`POST\` that writes: an identical retry within 24 hours acts once and is answered
what the first was, with \`Idempotent-Replayed: true\`. The same key with another body is a 409, and so is one whose first
request still runs. What failed is not kept: it may be tried again.

## Limits

120 requests a minute for each key, unless your operator has set another number; \`X-RateLimit-Remaining\` says how many
are left. Beyond it comes a 429 with \`Retry-After\`, in seconds.

## Realtime

Events come over the Pusher protocol: \`GET /api/v1/realtime\` says where, and any pusher-js client connects.
\`GET /api/v1/sync\` tells the same events over REST, each once and in order, also to who was away.

## Webhooks

An event is POSTed to your address, signed, at least once. Verify \`x-muro-signature\` over the raw body, before it is
parsed; drop what you have seen by \`x-muro-event-id\`; answer with a 2xx within 10 seconds. Else it is tried again after
${retrySchedule.map(duration).join(', ')}, and then given up.
`

/** How a request says who asks. */
export const securitySchemes = {
  apiKey: {
    type: 'http' as const,
    scheme: 'bearer',
    bearerFormat: 'mr_live_…',
    description: 'An API key. The scope that a route needs stands beside it.',
  },
  siteKey: {
    type: 'apiKey' as const,
    in: 'header',
    name: 'X-Api-Key',
    description: 'The public key of a site, `site_…`; `Authorization: Bearer site_…` is taken too.',
  },
  visitorToken: {
    type: 'apiKey' as const,
    in: 'header',
    name: 'X-Visitor-Token',
    description: 'The visitor_token or conversation_token of a conversation of the site chat.',
  },
}

/** The parts of the API, in the order in which they are shown. */
export const tags = [
  { name: 'Conversations', description: 'Threads with a visitor: reading, opening and triage, one or many at a time.' },
  {
    name: 'Messages',
    description: 'What is said in a conversation: replies that the visitor sees, and internal notes.',
  },
  { name: 'Attachments', description: 'Files: uploaded first, then sent with a message.' },
  { name: 'Summaries', description: 'What a conversation was about, in a few points, written by an AI.' },
  { name: 'Contacts', description: 'The visitors: who they are, and what you know of them.' },
  { name: 'Saved replies', description: 'Canned texts that agents insert with `/shortcut`.' },
  { name: 'Automation rules', description: 'When this happens and these conditions hold, do that.' },
  { name: 'Webhooks', description: 'Addresses that events are sent to, what was delivered, and what was not.' },
  { name: 'Users', description: 'Who works in the workspace, and whether they want to be asked.' },
  { name: 'Sites', description: 'Where visitors chat from, and how the widget looks there.' },
  { name: 'Realtime', description: 'Events over the Pusher protocol, for any pusher-js client.' },
  { name: 'Sync', description: 'A copy of the inbox that stays right: the state, and then every event.' },
  { name: 'Site chat', description: 'For the visitor’s side: what a widget in a page of the site asks.' },
]
