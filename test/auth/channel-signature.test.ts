import PusherServer from 'pusher'
import { expect, test } from 'vitest'
import { signChannel, verifyChannel, verifyUser } from '../../auth/channel-signature.ts'

// The vectors of Pusher's documentation.
const app = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }
const privateAuth = `${app.key}:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4`
const member = '{"user_id":10,"user_info":{"name":"Mr. Pusher"}}'
const presenceAuth = `${app.key}:afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c`

test('a subscription is signed as Pusher documents it', () => {
  expect(signChannel(app, '1234.1234', 'private-foobar')).toBe(privateAuth)
  expect(signChannel(app, '1234.1234', 'presence-foobar', member)).toBe(presenceAuth)
})

test('a signin is signed as Pusher documents it, for one socket and one user', () => {
  const auth = `${app.key}:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba`
  expect(verifyUser(app, auth, '1234.1234', '{"id":"12345"}')).toBe('valid')
  expect(verifyUser(app, auth, '1234.1234', '{"id":"12346"}')).toBe('wrong_signature')
  expect(verifyUser(app, auth, '1234.1235', '{"id":"12345"}')).toBe('wrong_signature')
  expect(verifyUser(app, privateAuth, '1234.1234', '{"id":"12345"}')).toBe('wrong_signature')
  expect(verifyUser(app, '', '1234.1234', '{"id":"12345"}')).toBe('missing')
})

test('a signature of the official SDK is valid, with and without channel data', () => {
  const sdk = new PusherServer({ appId: '3', ...app, host: 'localhost', useTLS: false })
  const plain = sdk.authorizeChannel('1.2', 'private-a')
  expect(verifyChannel(app, plain.auth, '1.2', 'private-a')).toBe('valid')
  const withData = sdk.authorizeChannel('1.2', 'private-a', { user_id: '7' })
  expect(verifyChannel(app, withData.auth, '1.2', 'private-a', withData.channel_data)).toBe('valid')
})

test('channel data that is null counts as none', () => {
  expect(verifyChannel(app, privateAuth, '1234.1234', 'private-foobar', null)).toBe('valid')
  expect(signChannel(app, '1234.1234', 'private-foobar', null)).toBe(privateAuth)
})

test('a signature is not valid for another socket, another channel or other data', () => {
  expect(verifyChannel(app, privateAuth, '1234.1235', 'private-foobar')).toBe('wrong_signature')
  expect(verifyChannel(app, privateAuth, '1234.1234', 'private-other')).toBe('wrong_signature')
  expect(verifyChannel(app, privateAuth, '1234.1234', 'private-foobar', '')).toBe('wrong_signature')
  expect(verifyChannel(app, presenceAuth, '1234.1234', 'presence-foobar', member.replace('10', '11'))).toBe(
    'wrong_signature',
  )
  expect(verifyChannel(app, presenceAuth, '1234.1234', 'presence-foobar')).toBe('wrong_signature')
  expect(verifyChannel(app, `${app.key}:`, '1234.1234', 'private-foobar')).toBe('wrong_signature')
})

test('a wrong key is told from a wrong signature, and both from none', () => {
  expect(verifyChannel(app, privateAuth.replace('278', '279'), '1234.1234', 'private-foobar')).toBe('wrong_key')
  expect(verifyChannel(app, 'nonsense', '1234.1234', 'private-foobar')).toBe('wrong_key')
  for (const none of ['', null, undefined]) {
    expect(verifyChannel(app, none, '1234.1234', 'private-foobar')).toBe('missing')
  }
})
