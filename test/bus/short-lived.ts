/** A process that uses a Redis bus and has nothing else to do: it lives until its bus is closed, and no longer. */

import { once } from 'node:events'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'

const nothing = () => undefined
const bus = await createRedisBus({
  url: process.argv[2] ?? '',
  listener: { receive: nothing, returned: nothing },
  metrics: createMetrics(),
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
})
await bus.subscribe('s')
const told = once(process, 'SIGTERM')
process.stdout.write('open')
await told
void bus.subscribe('never confirmed where Redis is away')
bus.publish('s', 'the last word')
await bus.close()
process.stdout.write('closed')
