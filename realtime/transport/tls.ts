/** The certificate of the realtime port: looked at before a server is made of it. */

import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { StartError } from '../../schema/errors.ts'

/** Paths of files in PEM: the certificate with those that lead to its root, and its key. */
export type TlsFiles = { certFile: string; keyFile: string }

/** Reads both files; a StartError names the variable of the one that cannot be used. */
export const readTls = ({ certFile, keyFile }: TlsFiles): { cert: Buffer; key: Buffer } => {
  const cert = read('TLS_CERT_FILE', certFile)
  const key = read('TLS_KEY_FILE', keyFile)
  check({ cert }, `TLS_CERT_FILE: ${certFile} holds no certificate in PEM that can be used`)
  check({ key }, `TLS_KEY_FILE: ${keyFile} holds no key in PEM that can be used without a passphrase`)
  check({ cert, key }, `TLS_KEY_FILE: ${keyFile} is not the key of the certificate in ${certFile}`)
  return { cert, key }
}

const read = (variable: string, file: string): Buffer => {
  try {
    return readFileSync(file)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new StartError(`${variable}: ${file} cannot be read${code}`, { cause: error })
  }
}

const check = (options: SecureContextOptions, refusal: string): void => {
  try {
    createSecureContext(options)
  } catch (error) {
    throw new StartError(refusal, { cause: error })
  }
}
