/** On paper: what sockets, nodes, Redis and Postgres have to carry as an installation grows, from figures of one node. */

import { decodeStreamEvent, encodeStreamEvent, tellingsOf, toStreamEvent } from '../schema/events.ts'
import { eventFrame } from '../schema/frames.ts'

/** Measured on one node; docs/scale.md says by which command. Times in µs of CPU, memory in kB of the process. */
const measured = {
  /** A frame to one socket, alone in its turn of the loop. */
  single: 7,
  /** What a node does for an event that it hears of; 1.6 of it was measured here, the driver of Redis is assumed. */
  heard: 5,
  /** A message over REST in the REST process, and its append in Postgres. */
  rest: 410,
  append: 540,
  /** Connect, authorize, subscribe and recover, in all processes together. */
  comeBack: 540,
  /** An idle socket that is subscribed: in the process, and what the kernel keeps for a connection. */
  socket: 1.5,
  kernel: 4,
}

/** A support desk: agents see all of their workspace, a visitor sees one thread and writes now and then. */
const desk = { agents: 10, visitors: 40, secondsBetweenMessages: 60, eventsPerMessage: 2 }

/** How much of a core may be used before it is too much. */
const most = { share: 0.6 }

type Load = { sockets: number; nodes: number }

/** Returns on how many of `nodes` at least one of `subscribers` is, if each is anywhere. */
export const nodesReached = (subscribers: number, nodes: number): number => nodes * (1 - (1 - 1 / nodes) ** subscribers)

/** The same, thrown with dice. */
const nodesThrown = (subscribers: number, nodes: number, throws = 20_000): number => {
  let reached = 0
  for (let n = 0; n < throws; n += 1) {
    reached += new Set(Array.from({ length: subscribers }, () => Math.floor(Math.random() * nodes))).size
  }
  return reached / throws
}

const carry = ({ sockets, nodes }: Load) => {
  const { agents, visitors, secondsBetweenMessages, eventsPerMessage } = desk
  const workspaces = sockets / (agents + visitors)
  const messages = (workspaces * visitors) / secondsBetweenMessages
  const events = messages * eventsPerMessage
  // The workspace's stream goes to each node that has any of its sockets; there the agents, a thread's agent and its visitor.
  const reached = nodesReached(agents + visitors, nodes)
  const deliveries = events * (agents + 2)
  const realtime = (events * reached * measured.heard + deliveries * measured.single) / 1e6
  return {
    messages,
    events,
    redisIn: events,
    redisOut: events * reached,
    deliveries,
    realtimeCores: realtime / most.share,
    restCores: (messages * measured.rest) / 1e6 / most.share,
    postgresCores: (messages * measured.append) / 1e6 / most.share,
    memory: (sockets * (measured.socket + measured.kernel)) / 1e6,
    storm: (sockets / nodes) * (measured.comeBack / 1e6),
  }
}

/** Returns the µs of CPU that a node needs to read an event of the bus and to write the frame of one channel. */
const measureHeard = (): number => {
  const event = toStreamEvent({
    workspace: 'org_1',
    seq: 1,
    id: 'evt_1',
    type: 'message.new',
    site: 'web_1',
    conversation: 'cnv_1',
    conversation_seq: 1,
    public_seq: 1,
    payload: {
      id: 'msg_1',
      conversation_id: 'cnv_1',
      sender_type: 'agent',
      sender_id: 'usr_1',
      author: 'Ada',
      content: 'x'.repeat(200),
      attachments: [],
      created_at: '2026-01-01T00:00:00.000Z',
    },
  })
  const message = encodeStreamEvent(event)
  const rounds = 50_000
  let written = 0
  const hear = (): void => {
    for (let n = 0; n < rounds; n += 1) {
      const [telling] = tellingsOf(decodeStreamEvent(message) ?? event)
      if (telling) written += eventFrame(telling.channel, event.name, telling.data).length
    }
  }
  hear()
  const before = process.cpuUsage()
  hear()
  const { user, system } = process.cpuUsage(before)
  if (written === 0) throw new Error('nothing was written')
  return (user + system) / rounds
}

/** Prints the tables of docs/scale.md. */
export const benchScale = async (): Promise<void> => {
  console.log(`an event that a node hears of, without the driver of Redis: ${measureHeard().toFixed(1)} µs`)
  const loads = [
    { sockets: 10_000, nodes: 1 },
    { sockets: 100_000, nodes: 2 },
    { sockets: 300_000, nodes: 4 },
    { sockets: 1_000_000, nodes: 12 },
  ]
  const round = (value: number): string => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'))
  console.log(
    'sockets   nodes  messages/s  Redis in/s  Redis out/s  frames/s  cores: realtime  REST  Postgres  memory (GB)  one node back (core-s)',
  )
  for (const load of loads) {
    const { messages, redisIn, redisOut, deliveries, realtimeCores, restCores, postgresCores, memory, storm } =
      carry(load)
    const cells = [load.sockets.toLocaleString('en'), `${load.nodes}`]
    const figures = [messages, redisIn, redisOut, deliveries, realtimeCores, restCores, postgresCores, memory, storm]
    console.log([...cells, ...figures.map(round)].join('\t'))
  }
  console.log('\nnodes that an event reaches: by formula, and thrown with dice')
  for (const [subscribers, nodes] of [
    [2, 4],
    [12, 4],
    [12, 12],
    [50, 12],
  ] as const) {
    const [formula, dice] = [nodesReached(subscribers, nodes), nodesThrown(subscribers, nodes)]
    console.log(`${subscribers} subscribers on ${nodes} nodes: ${formula.toFixed(2)}, ${dice.toFixed(2)}`)
  }
}
