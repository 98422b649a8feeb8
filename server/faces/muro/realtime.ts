/** `GET /realtime`: what a pusher-js client needs to know. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import {
  convChannel,
  convPresence,
  orgChannel,
  orgPresence,
  siteChannel,
  visitorChannel,
} from '../../../schema/channels.ts'
import type { LoggedEventType } from '../../../schema/events.ts'
import { answers } from '../../../schema/muro/conventions.ts'
import { realtime } from '../../../schema/muro/realtime.ts'
import { currentPosition } from '../../domain/sync.ts'
import { writeSyncCursor } from '../../domain/sync-cursors.ts'
import { admitted, type MuroRouteDeps } from './admitted.ts'

export const realtimeRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context, addresses }) => {
  app.get(
    '/realtime',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Realtime'],
        summary: 'Read how to connect to the realtime bus',
        description: 'The configuration of pusher-js, the names of the channels, and the fields of every event.',
        operationId: 'getRealtime',
        response: answers({ 200: realtime }),
      },
    },
    async (request) => {
      const agent = admitted(request)
      const { workspace, site } = agent
      const cursor = writeSyncCursor(await currentPosition(context, agent))
      return {
        object: 'realtime' as const,
        enabled: true,
        config: { ...addresses.realtime(request), cluster: '' as const },
        auth_endpoint: `${addresses.api(request)}/api/v1/realtime/auth`,
        channels: {
          ...(site
            ? { workspace: siteChannel(site.publicId) }
            : { workspace: orgChannel(workspace.publicId), site: siteChannel('{id}') }),
          conversation: convChannel('{id}'),
          visitor: visitorChannel('{id}'),
          ...(site ? {} : { workspace_presence: orgPresence(workspace.publicId) }),
          conversation_presence: convPresence('{id}'),
        },
        events: eventShapes,
        sync: { url: `${addresses.api(request)}/api/v1/sync`, cursor },
      }
    },
  )
}

/** The fields of each event's data, as staff hear it. */
const eventShapes = {
  'conversation.opened': ['id', 'website_id', 'visitor_id', 'created_at', 'event_id', 'seq', 'conversation_seq'],
  'message.new': [
    'id',
    'conversation_id',
    'sender_type',
    'sender_id',
    'author',
    'content',
    'attachments',
    'created_at',
    'client_id?',
    'event_id',
    'seq',
    'conversation_seq',
  ],
  'conversation.update': [
    'id',
    'status',
    'state',
    'unread_count',
    'assigned_user_id',
    'tags',
    'priority',
    'snoozed_until',
    'last_message_at',
    'metadata',
    'changed',
    'reason?',
    'event_id',
    'seq',
    'conversation_seq',
  ],
  'contact.update': [
    'id',
    'website_id',
    'name',
    'email',
    'metadata',
    'conversation_count',
    'last_seen_at',
    'created_at',
    'updated_at',
    'changed',
    'event_id',
    'seq',
  ],
  'conversation.deleted': ['id', 'event_id', 'seq', 'conversation_seq'],
  'contact.deleted': ['id', 'merged_into?', 'event_id', 'seq'],
  'user.update': ['id', 'name', 'email', 'role', 'availability', 'created_at', 'changed', 'event_id', 'seq'],
  'webhook.disabled': ['id', 'url', 'reason', 'disabled_at', 'event_id', 'seq'],
  'agent.typing': ['conversation_id', 'user', 'is_private', 'expires_in_ms'],
} satisfies Record<LoggedEventType | 'agent.typing', string[]>
