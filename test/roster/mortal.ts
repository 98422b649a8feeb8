/** A process with a roster over Redis, a member and three sockets, which lives until it is killed. */

import { createRedisRoster } from '../../realtime/roster/redis/redis.ts'

const nothing = () => undefined
const [url = '', times = '{}'] = process.argv.slice(2)
const roster = await createRedisRoster({
  url,
  times: JSON.parse(times),
  policyOf: (app) => ({ tellsCounts: app.includes('counts'), hasHooks: app.includes('hooks') }),
  listener: {
    noticed: nothing,
    returned: () => process.stdout.write('returned '),
  },
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
})
roster.occupy('hooks', 'presence-a', 3)
await roster.join('hooks', 'presence-a', { user_id: 'mortal' }, 10)
await roster.counts('hooks', [])
process.stdout.write('open ')
