import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { userChannel } from '../../schema/channels.ts'
import { askRedis } from '../support/redis.ts'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { rosterContract } from './contract.ts'
import { makeRedisRoster, startRosterNode } from './redis-node.ts'
import { ann, counts, hooks, isAway, isHere, times as quick, seven, startMortal, startTwo, wait } from './two-nodes.ts'

let shared: TestCluster
beforeAll(async () => {
  shared = await startRedisCluster()
}, 30_000)
afterAll(() => shared?.stop())

// Each test has a Cluster that looks empty.
rosterContract('the roster over a Redis Cluster', (setup) =>
  makeRedisRoster(setup, {
    url: shared.url,
    prefix: `test-${randomBytes(6).toString('hex')}:`,
    times: { goodbye: 300, settle: 500 },
  }),
)

const startOwn = async (options?: Parameters<typeof startRedisCluster>[0]) => {
  const cluster = await startRedisCluster(options)
  onTestFinished(cluster.stop)
  return cluster
}

/** Links come back within a second or so: until then it is not made anything of what is missing. */
const times = { ...quick, settle: 3000, goodbye: 1000 }

const places = ['counts-hooks:presence-a', 'counts-hooks:a', `counts-hooks:${userChannel('7')}`].map(
  (name) => `{${name}}`,
)

test('what a node says and takes back in a Cluster leaves nothing there, whatever users are called', async () => {
  const channels = ['}', '{', '{}', 'a}b', '{a}', 'a b', 'ü 🎈'].map(userChannel)
  const [one, two] = await Promise.all([
    startRosterNode({ ...shared, times }),
    startRosterNode({ ...shared, times }, ...channels.map((channel): [string, string] => ['hooks', channel])),
  ])
  for (const channel of channels) one.roster.occupy('hooks', channel, 1)
  for (let n = 0; n < 300; n += 1) one.roster.occupy('hooks', `c${n}`, 1)
  await one.roster.counts('hooks', [])
  expect(await two.roster.online('hooks', ['}', 'a b', 'nobody'])).toEqual([true, true, false])
  await expect.poll(async () => (await two.roster.channels('hooks', '')).length, wait).toBe(300)
  await expect.poll(() => two.lines('!').length, wait).toBe(channels.length)
  for (const channel of channels) one.roster.occupy('hooks', channel, 0)
  for (let n = 0; n < 300; n += 1) one.roster.occupy('hooks', `c${n}`, 0)
  await expect.poll(() => hooks(one).filter((line) => line.includes('vacated')).length, wait).toBe(300)
  const keys = async () => {
    const all = await Promise.all(shared.nodes.map((node) => askRedis(node, 'KEYS', '*')))
    return all
      .flatMap((answer) => answer.match(/hubbub:\S+/g) ?? [])
      .filter((key) => !/\{\d+\}:nodes$/.test(key))
      .sort()
  }
  await expect.poll(keys, wait).toEqual(['hubbub:{nodes}:epoch', 'hubbub:{nodes}:leases'])
})

test('a channel that is new in a slot that moves is made where it moves to, and told about when that is done', async () => {
  const here: [string, string] = ['chat', 'presence-new']
  const [one, two] = await Promise.all([
    startRosterNode({ ...shared, times }, here),
    startRosterNode({ ...shared, times }, here),
  ])
  await shared.moveSlot('{chat:presence-new}', (shared.masterOf('{chat:presence-new}') + 1) % 3, async () => {
    expect(await one.roster.join(...here, ann, 1)).toBe('joined')
    expect(await two.roster.join(...here, seven, 1)).toBe('full')
    expect((await two.roster.members(...here)).members).toEqual([ann])
  })
  await two.tells('returned')
  expect((await two.roster.members(...here)).members).toEqual([ann])
  one.roster.leave(...here, 'ann')
  await two.tells('- chat:presence-new "ann"')
})

test('a Cluster that has forgotten its scripts is given them again', async () => {
  const one = await startRosterNode({ ...shared, times })
  for (const node of shared.nodes) await askRedis(node, 'SCRIPT', 'FLUSH')
  expect(await one.roster.join('plain', 'presence-a', ann, 10)).toBe('joined')
  expect((await one.roster.members('plain', 'presence-a')).members).toEqual([ann])
  expect(one.log).toEqual([])
})

test('a channel whose slot moves to another master is the same there, and goes on', async () => {
  const { one, two, isAllThere, isNothingTold } = await startTwo(shared.url, times)
  const [presence = ''] = places
  await shared.moveSlot(presence, (shared.masterOf(presence) + 1) % 3, async () => {
    // What is not there yet is made where it moves to.
    await one.roster.remember('counts-hooks', 'presence-a', { data: '1', frame: '{}' })
    expect(await two.roster.recall('counts-hooks', 'presence-a')).toMatchObject({ data: '1' })
    expect((await two.roster.members('counts-hooks', 'presence-a')).members).toHaveLength(2)
  })
  await isAllThereWithin(isAllThere)
  await Promise.all([one.tells('returned'), two.tells('returned')])
  await isAllThere()
  isNothingTold()
  expect(await two.roster.join('counts-hooks', 'presence-a', { user_id: 'new' }, 10)).toBe('joined')
  await one.tells('+ counts-hooks:presence-a "new"')
})

test.each([
  ['has a channel with members', places[0] ?? ''],
  ['has the leases', '{nodes}'],
])(
  'a master that %s is killed and comes back empty: all is right again, and nobody was told anything twice',
  async (_, key) => {
    const cluster = await startOwn()
    const { one, two, isAllThere, isNothingTold } = await startTwo(cluster.url, times)
    const lost = cluster.masterOf(key)
    await cluster.kill(lost)
    const at = (name: string) => one.roster.counts('counts-hooks', [name]).then(isHere, isAway)
    const [gone = '', kept = ''] = [0, 1].map((isKept) => {
      let n = 0
      while ((cluster.masterOf(`{counts-hooks:presence-${n}}`) !== lost) !== (isKept === 1)) n += 1
      return `presence-${n}`
    })
    await expect.poll(() => at(gone), wait).toBe('away')
    // The others go on, and of what is lost the truth is kept.
    await expect.poll(() => one.roster.join('counts-hooks', kept, seven, 10), wait).toBe('joined')
    expect(await two.roster.members('counts-hooks', kept)).toMatchObject({ members: [seven] })
    expect(await one.roster.join('counts-hooks', gone, seven, 10)).toBe('unknown')
    await expect(two.roster.members('counts-hooks', gone)).rejects.toThrow()
    one.roster.leave('counts-hooks', kept, '7')
    await cluster.restart(lost)
    await one.tells(`hook counts-hooks member_added ${gone} 7`)
    await Promise.all([one.tells('returned'), two.tells('returned')])
    expect(await two.roster.members('counts-hooks', gone)).toMatchObject({ members: [seven] })
    one.roster.leave('counts-hooks', gone, '7')
    await isAllThereWithin(isAllThere)
    await expect.poll(() => hooks(one, two).filter((line) => line.includes(`removed ${gone}`)).length, wait).toBe(1)
    for (const { told } of [one, two]) told.splice(0, told.length, ...told.filter((line) => !/presence-\d/.test(line)))
    isNothingTold()
  },
)

/** Members may not be asked for before Redis is back. */
const isAllThereWithin = (isAllThere: () => Promise<void>) =>
  expect.poll(() => isAllThere().then(isHere, isAway), { timeout: 15_000 }).toBe('here')

test('a master whose replica takes over: all is right again, and changes meanwhile are told', async () => {
  const cluster = await startOwn({ hasReplicas: true })
  const { one, two, isAllThere } = await startTwo(cluster.url, times)
  await cluster.kill(cluster.masterOf(places[0] ?? ''))
  two.roster.leave('counts-hooks', 'presence-a', '7')
  two.roster.occupy('counts-hooks', 'presence-a', 4)
  await expect.poll(() => counts(one, 'counts-hooks', 'presence-a'), wait).toEqual({ subscriptions: 4, users: 1 })
  await Promise.all([one.tells('returned'), two.tells('returned')])
  expect(await two.roster.join('counts-hooks', 'presence-a', seven, 10)).toBe('joined')
  two.roster.occupy('counts-hooks', 'presence-a', 1)
  await isAllThereWithin(isAllThere)
  expect((await one.roster.members('counts-hooks', 'presence-a')).members).toContainEqual(ann)
})

test('a node that dies together with the master that has the leases leaves no ghosts', async () => {
  const cluster = await startOwn()
  const here: [string, string] = ['hooks', 'presence-a']
  const quicker = { ...times, settle: 600, goodbye: 300 }
  const one = await startRosterNode({ ...cluster, times: quicker }, here)
  const mortal = await startMortal(cluster.url, times)
  await one.tells('+ hooks:presence-a "mortal"')
  const leases = cluster.masterOf('{nodes}')
  expect(cluster.masterOf('{hooks:presence-a}')).not.toBe(leases)
  await cluster.kill(leases)
  await mortal.kill()
  await cluster.restart(leases)
  await one.tells('- hooks:presence-a "mortal"')
  await expect.poll(() => counts(one, ...here), wait).toEqual({ subscriptions: 0, users: 0 })
  await one.tells('hook hooks channel_vacated presence-a')
})
