/** Addresses that are refused as soon as they are entered: those that are plainly private, without asking a resolver. */

import { expect, test } from 'vitest'
import { privateHosts } from '../../schema/outbound.ts'
import { createRefusal } from '../../server/outbound/refusal.ts'

const refusalWith = (allowed = '') => createRefusal({ allowPrivate: privateHosts.parse(allowed) })

test.each([
  'http://localhost/',
  'http://LOCALHOST./',
  'https://app.localhost:8443/',
  'http://127.0.0.1:3000/',
  'http://127.1/',
  'http://2130706433/',
  'http://0/',
  'http://10.0.0.8/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data',
  'http://[::1]/',
  'http://[fe80::1]/',
  'http://[fd00::1]/',
  'http://[::ffff:127.0.0.1]/',
])('%s is refused, in words that name the way out', async (url) => {
  expect(await refusalWith()(url)).toMatch(/^\S+ is not a public address; WEBHOOK_ALLOW_PRIVATE /)
})

test.each(['https://example.com/', 'http://8.8.8.8/', 'http://[2606:4700::1111]/', 'https://localhost.example.com/'])(
  '%s is not',
  async (url) => {
    expect(await refusalWith()(url)).toBeUndefined()
  },
)

test('what the operator names may be entered, at the port that he names', async () => {
  const refusalOf = refusalWith('127.0.0.1:8000, 10.0.0.0/8, [::1]:8443, intranet')
  for (const url of [
    'http://127.0.0.1:8000/',
    'http://localhost:8000/',
    'http://10.9.8.7/',
    'https://[::1]:8443/',
    'http://intranet/',
  ]) {
    expect([url, await refusalOf(url)]).toEqual([url, undefined])
  }
  for (const url of ['http://127.0.0.1/', 'http://127.0.0.2:8000/', 'http://192.168.0.1/', 'https://[::1]/']) {
    expect([url, await refusalOf(url)]).toEqual([url, expect.stringContaining('not a public address')])
  }
})
