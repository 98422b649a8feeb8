/** A certificate for 127.0.0.1 that is made on the spot, so that no key has to be kept anywhere. */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export type TestCertificate = { cert: string; key: string }

/** Makes a certificate that signs itself (X.509 v3, RFC 5280) and its key, in PEM. */
export const makeCertificate = (): TestCertificate => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    cert: pem('CERTIFICATE', certificateOf(publicKey, privateKey)),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}

/** Writes files into a directory of the test's own, and returns their paths. */
export const writeFiles = async <Name extends string>(texts: Record<Name, string>): Promise<(name: Name) => string> => {
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-tls-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  for (const [name, text] of Object.entries<string>(texts)) await writeFile(join(directory, name), text)
  return (name) => join(directory, name)
}

const certificateOf = (publicKey: KeyObject, privateKey: KeyObject): Buffer => {
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)])
  const name = sequence(set(sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from('127.0.0.1')))))
  const validity = sequence(utcTime('200101000000Z'), utcTime('491231235959Z'))
  const address = sequence(der(0x87, Buffer.from([127, 0, 0, 1])))
  const authority = sequence(der(0x01, Buffer.from([0xff])))
  const extensions = sequence(
    sequence(oid(0x55, 0x1d, 0x11), der(0x04, address)),
    sequence(oid(0x55, 0x1d, 0x13), der(0x04, authority)),
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    ...[name, validity, name],
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]))
  return sequence(body, ecdsaWithSha256, signature)
}

const der = (tag: number, content: Buffer): Buffer => {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts))

const set = (part: Buffer): Buffer => der(0x31, part)

const oid = (...bytes: number[]): Buffer => der(0x06, Buffer.from(bytes))

const utcTime = (text: string): Buffer => der(0x17, Buffer.from(text))

const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))

const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
