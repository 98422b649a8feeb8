/** The native addon is the build that was examined, byte for byte. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

const sha256 = 'f4fa5d7b697529b45ac8aa3d57385d9af51bc1d2b26aa9f5b68ca4361542e665'

it('the uWebSockets.js addon for Node 20 on Linux x64 has the sha256 that is written here', () => {
  const folder = dirname(createRequire(import.meta.url).resolve('uWebSockets.js'))
  const addon = readFileSync(join(folder, 'uws_linux_x64_115.node'))
  expect(createHash('sha256').update(addon).digest('hex')).toBe(sha256)
})
