/** Which Pusher apps are served: the chat's, and those of the PUSHER_APPS file. */

import { readFileSync } from 'node:fs'
import { sameSecret } from '../auth/compare.ts'
import { StartError } from '../schema/errors.ts'
import { chatApp, type PusherApp, readApps } from '../schema/pusher-apps.ts'

/** The app of the chat, and the others. */
export type PusherApps = { chat: PusherApp; apps: PusherApp[] }

/**
 * Reads the file, if there is one; a StartError says what cannot be used. An entry with the id of the chat's app sets
 * the limits of that, and has to have its key and secret.
 */
export const readPusherApps = (
  path: string | undefined,
  credentials: { id: string; key: string; secret: string },
): PusherApps => {
  if (path === undefined) return { chat: chatApp(credentials), apps: [] }
  const read = readApps(readText(path), credentials.id)
  const [chat = chatApp(credentials)] = read.filter(({ id }) => id === credentials.id)
  const apps = read.filter(({ id }) => id !== credentials.id)
  if (chat.key !== credentials.key || !sameSecret(chat.secret, credentials.secret)) {
    throw new StartError(`PUSHER_APPS: app ${chat.id} is the chat's, and needs its key and its secret`)
  }
  const taken = apps.find(({ key }) => key === chat.key)
  if (taken) throw new StartError(`PUSHER_APPS: app ${taken.id} has the key of the chat's app ${chat.id}`)
  return { chat, apps }
}

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new StartError(`PUSHER_APPS: ${path} cannot be read${code}`, { cause: error })
  }
}
