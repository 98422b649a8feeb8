import { afterAll, beforeAll } from 'vitest'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { comeback } from './comeback.ts'
import { mainJob } from './main-job.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
}, 30_000)
afterAll(() => cluster?.stop())

const env = () => ({ REDIS_URL: cluster.url })

mainJob('with two nodes for sockets over a Redis Cluster', { rest: 1, realtime: 2 }, env)
comeback({ workspaces: 3, perSecond: 100, seconds: 2 }, env)
