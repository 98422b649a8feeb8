/** What the program pays for each socket and each delivery, against the least that bare uWebSockets.js pays. */

import { cpus, release } from 'node:os'
import { type Clients, startClients } from './clients.ts'
import { openFilesLimit } from './cpu.ts'
import { chatCost, makeThread } from './fanout-chat.ts'
import { manyChannelsCosts, oneChannelCosts } from './fanout-costs.ts'
import { type Row, table } from './figures.ts'
import { withPostgres } from './program.ts'
import { type Lend, lendBare, lendHubbub } from './servers.ts'

const wanted = { burst: 1000, single: 5000, many: 10_000 }
const rounds = { least: 3, most: 5, seconds: 100 }
const clientProcesses = 2

type Sizes = typeof wanted
type Costs = Awaited<ReturnType<typeof allCosts>>

/** Runs the benchmark and prints a table; rejects if a single delivery is missing. */
export const benchFanout = async (): Promise<void> => {
  if (process.platform !== 'linux') throw new Error('this benchmark reads /proc and needs Linux')
  const sizes = allowedSizes()
  const bare: Costs[] = []
  const hubbub: Costs[] = []
  await withPostgres(async (databaseUrl) => {
    const thread = await makeThread(databaseUrl)
    const clients = startClients(clientProcesses)
    const begun = performance.now()
    const timeIsLeft = () => performance.now() - begun < rounds.seconds * 1000
    try {
      while (bare.length < rounds.least || (bare.length < rounds.most && timeIsLeft())) {
        console.error(`round ${bare.length + 1} of ${rounds.least} to ${rounds.most}`)
        bare.push(await allCosts(lendBare, clients, sizes))
        hubbub.push(await allCosts(lendHubbub(databaseUrl, thread), clients, sizes))
      }
    } finally {
      await clients.stop()
    }
  })
  console.log(table(rowsOf(sizes, bare, hubbub)))
  console.log(`Medians of ${bare.length} rounds. ${machine()}`)
}

const allCosts = async (lend: Lend, clients: Clients, sizes: Sizes) => ({
  ...(await lend(async (server) => ({
    ...(await oneChannelCosts(server, clients, sizes)),
    chat: await chatCost(server, clients, sizes.single),
  }))),
  ...(await lend((server) => manyChannelsCosts(server, clients, sizes.many))),
})

const rowsOf = ({ burst, single, many }: Sizes, bare: Costs[], hubbub: Costs[]): Row[] => {
  const row = (name: string, of: (costs: Costs) => number, goal: Pick<Row, 'ratioGoal' | 'ownGoal'> = {}): Row => ({
    ...{ name, bare: bare.map(of), hubbub: hubbub.map(of), ...goal },
  })
  return [
    row(`bursts of 32 to a channel of ${burst}, µs/delivery`, (costs) => costs.burst.whole, { ratioGoal: 1.1 }),
    row('  without the cost of the requests', (costs) => costs.burst.pure),
    row(`bursts of 64 to a channel of ${burst}, µs/delivery`, (costs) => costs.largeBurst.whole, { ratioGoal: 1.1 }),
    row('  without the cost of the requests', (costs) => costs.largeBurst.pure),
    row(`single events to a channel of ${single}, µs/delivery`, (costs) => costs.single.whole, { ratioGoal: 1.05 }),
    row('  without the cost of the requests', (costs) => costs.single.pure),
    row(`  chat messages to an org channel of ${single}, same`, (costs) => costs.chat, { ratioGoal: 1.05 }),
    row(`signed POST, ${many} channels of 1, µs/publish`, (costs) => costs.publish, { ratioGoal: 1.5 }),
    row('memory of an idle subscribed socket, kB', (costs) => costs.memory / 1000, { ownGoal: 3 }),
    row('connect and subscribe, µs/socket', (costs) => costs.connect, { ratioGoal: 1.5 }),
  ]
}

/** Returns how many sockets each part may have here, and says so where it is fewer than are wanted. */
const allowedSizes = (): Sizes => {
  const limit = openFilesLimit()
  const most = limit - 300
  if (most < 100) throw new Error(`only ${limit} files may be open (ulimit -n): at least 400 are needed`)
  if (most < wanted.many)
    console.log(`Only ${limit} files may be open (ulimit -n): no more than ${most} sockets are used.`)
  return {
    burst: Math.min(wanted.burst, most),
    single: Math.min(wanted.single, most),
    many: Math.min(wanted.many, most),
  }
}

const machine = (): string => {
  const cores = cpus()
  return `${cores.length} cores (${cores[0]?.model ?? 'unknown'}), Node ${process.version}, Linux ${release()}`
}
