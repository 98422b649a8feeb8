/** The types of mirror.mjs, for tests that run it. */

/** An event as `GET /api/v1/sync` tells it. */
export type Told = {
  id: string
  seq: number
  type: string
  conversation_id: string | null
  conversation_seq: number | null
  created_at: string
  data: Record<string, unknown>
}

/** An object of a snapshot. */
export type Mirrored = { id: string; seq: number; [name: string]: unknown }

export type Mirror = { conversations: Map<string, Mirrored>; contacts: Map<string, Mirrored> }

/** Reads an object at a path of the API; undefined where it is gone. */
export type Read = (path: string) => Promise<unknown>

export function apply(mirror: Mirror, event: Told, read: Read): Promise<void>

export function follow(options: {
  api: string
  key: string
  mirror: Mirror
  signal?: AbortSignal
  tell: (event: Told) => void
}): Promise<void>
