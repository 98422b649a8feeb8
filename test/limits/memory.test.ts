import { createLimiter } from '../../server/http/limiter.ts'
import { limiterContract } from './contract.ts'

let made = 0

limiterContract('counting in memory', (window) => ({ limiter: createLimiter({ window }), close: () => undefined }), {
  freshBucket: () => {
    made += 1
    return `bucket ${made}`
  },
})
