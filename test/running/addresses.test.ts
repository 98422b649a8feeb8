/** Where clients are sent to for sockets: the configuration decides, else the request and how the port is opened. */

import { expect, it, test } from 'vitest'
import { createAddresses } from '../../server/faces/addresses.ts'
import { freshDatabase } from '../support/database.ts'
import { clientOf, muroClient } from '../support/http.ts'
import { makePlace, startForTest } from '../support/place.ts'

const plain = { protocol: 'http', host: 'chat.example:3000', hostname: 'chat.example' } as const
const secure = { ...plain, protocol: 'https' } as const
const given = { publicUrl: undefined, realtimePublicUrl: undefined, realtimePort: () => 6001, appKey: 'key' }

test.each([
  ['the host of the request and the port of the sockets', {}, plain, { port: 6001, forceTLS: false }],
  ['with TLS where the request came over TLS', {}, secure, { port: 6001, forceTLS: true }],
  ['with TLS where the port speaks it', { hasTls: true }, plain, { port: 6001, forceTLS: true }],
  [
    'with a path where there is one in front',
    { pathPrefix: '/ws' },
    plain,
    { port: 6001, forceTLS: false, wsPath: '/ws' },
  ],
])('without an address of their own: %s', (_, options, request, expected) => {
  const { realtime } = createAddresses({ ...given, ...options })
  expect(realtime(request)).toEqual({ key: 'key', host: 'chat.example', ...expected })
})

test.each([
  ['wss://live.example', {}, { port: 443, forceTLS: true }],
  ['ws://live.example/', {}, { port: 80, forceTLS: false }],
  ['http://live.example:8080', { hasTls: true }, { port: 8080, forceTLS: false }],
  ['https://live.example/sockets/', {}, { port: 443, forceTLS: true, wsPath: '/sockets' }],
  ['wss://live.example', { pathPrefix: '/ws' }, { port: 443, forceTLS: true, wsPath: '/ws' }],
  ['wss://live.example/sockets', { pathPrefix: '/ws' }, { port: 443, forceTLS: true, wsPath: '/sockets' }],
])('REALTIME_PUBLIC_URL %s with %o', (realtimePublicUrl, options, expected) => {
  const { realtime } = createAddresses({ ...given, ...options, realtimePublicUrl })
  expect(realtime(plain)).toEqual({ key: 'key', host: 'live.example', ...expected })
})

it('agents and sites are told the path in front of the sockets', async () => {
  const { url } = await freshDatabase({ max: 1 })
  const program = await startForTest({
    DATABASE_URL: url,
    DATA_DIR: await makePlace(),
    REALTIME_PUBLIC_URL: 'wss://live.example/sockets/',
  })
  const shown = (pattern: RegExp) => pattern.exec(program.output())?.[1] ?? ''
  const realtime = { host: 'live.example', port: 443, forceTLS: true, wsPath: '/sockets' }
  const agent = muroClient(program.api, shown(/(mr_live_[A-Za-z0-9]{32})/))
  expect((await agent.get('/realtime')).body).toMatchObject({ config: realtime })
  const site = clientOf(`${program.api}/api/v1/chat`, { 'X-Api-Key': shown(/Site key +(\S+)/) })
  expect((await site.get('/config')).body).toMatchObject({ realtime })
})
