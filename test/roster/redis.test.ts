import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { rosterContract } from './contract.ts'
import { makeRedisRoster } from './redis-node.ts'

const url = inject('redisUrl')

// Each test has a Redis that looks empty.
rosterContract('the roster over Redis', (setup) =>
  makeRedisRoster(setup, { url, prefix: `test-${randomBytes(6).toString('hex')}:`, times: { goodbye: 300 } }),
)
