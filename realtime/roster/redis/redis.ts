/** The roster between processes, in Redis: each says what it has, and takes out what the dead have left. */

import type { Logger } from '../../logger.ts'
import { readRedisAddresses, unusable } from '../../redis/address.ts'
import { createClusterKeyspace } from '../../redis/cluster-keyspace.ts'
import { createLinkKeyspace, type Keyspace } from '../../redis/keyspace.ts'
import { within } from '../../within.ts'
import type { Joined, Roster, RosterListener, RosterPolicy } from '../roster.ts'
import { type Claim, changeMember, claimMember, createClaims, sayAnew } from './claims.ts'
import { createRosterKeys, type RosterPart } from './keys.ts'
import { createLease } from './lease.ts'
import { createLife } from './life.ts'
import { createNotices } from './notices.ts'
import { createReads } from './reads.ts'
import { createCallChannel, createScripts } from './scripts.ts'
import { createSpeaker } from './speaker.ts'
import { createSweep } from './sweep.ts'
import { type RosterTimes, usualTimes } from './times.ts'

/**
 * Connects to a Redis, or a Redis Cluster; throws a StartError where it cannot be used. From then on it never fails:
 * while Redis is away what this process has is kept here and said later. Changes are told through the bus, which has to
 * have the same prefix and whose listener has to give news to `tellNews`; of the listener only `noticed` and `returned`
 * are called. `policyOf` has to answer for every app that any node has.
 */
export const createRedisRoster = async ({
  url,
  policyOf,
  listener,
  logger,
  prefix = 'hubbub:',
  times: otherTimes = {},
  now = () => performance.now(),
}: {
  url: string
  policyOf: (app: string) => RosterPolicy
  listener: Pick<RosterListener, 'noticed' | 'returned'>
  logger: Logger
  prefix?: string
  times?: Partial<RosterTimes>
  now?: () => number
}): Promise<Roster> => {
  const times = { ...usualTimes, ...otherTimes }
  const addresses = readRedisAddresses(url)
  const [address] = addresses
  const isCluster = addresses.length > 1
  const keys = createRosterKeys(prefix, { isCluster })
  const { callOf, load } = createScripts({ isCluster })
  const claims = createClaims()
  let isClosing = false

  const name = 'hubbub-roster'
  const keyspace: Keyspace = isCluster
    ? createClusterKeyspace({
        addresses,
        name,
        prepare: load,
        onGained: (isGained) => {
          notices.writeAgain(isGained)
          life.gained(({ app, channel }) => isGained(keys.roster(app, channel)))
        },
        onLost: (isLost) => {
          if (isLost(keys.leases)) lease.doubt()
        },
      })
    : createLinkKeyspace({ address, name, prepare: load, onReady: () => life.linked(), onLost: () => lease.doubt() })
  const lease = createLease({
    keyspace,
    keys,
    callOf,
    time: times.lease,
    now,
    renamed: () => {
      for (const claim of claims.all()) {
        sayAnew(claim)
        speaker.say(claim)
      }
    },
  })
  const { node } = lease
  const isReady = (): boolean => keyspace.isReady(keys.leases)
  // While the leases cannot be reached by anybody, nobody is taken for dead.
  const mayTalk = ({ app, channel }: Pick<Claim, 'app' | 'channel'>): boolean =>
    isCluster
      ? keyspace.isReady(keys.roster(app, channel)) && (lease.isHeld() || !isReady())
      : isReady() && lease.isHeld()
  const partAt = (key: string): RosterPart => {
    const name = keyspace.beside(key, keys.partNames)
    return keys.parts.find(({ nodes }) => nodes === name) ?? keys.firstPart
  }
  const call = createCallChannel({ keys, callOf, node, policyOf, pause: times.countPause })
  const notices = createNotices({
    keyspace,
    keys,
    partAt,
    node,
    call,
    policyOf,
    listener,
    pause: times.goodbye,
    logger,
  })
  const heard = notices.take
  const speaker = createSpeaker({
    keyspace,
    keys,
    partAt,
    claims,
    node,
    call,
    mayTalk,
    heard,
    goodbyes: notices,
    logger,
  })
  const sweep = createSweep({ keyspace, keys, own: node, call, callOf, heard, goodbyes: notices, policyOf, logger })
  const register = (): void => {
    if (!isCluster) return
    void keyspace.runAll(keys.partNames.map((key) => ({ key, command: ['sadd', key, node()] })))
  }
  const life = createLife({
    isReady,
    load: keyspace.prepare,
    register,
    isCluster,
    lease,
    claims,
    speaker,
    notices,
    sweep,
    listener,
    times,
    now,
    logger,
  })
  const reads = createReads({ keyspace, keys, callOf, settle: speaker.settle, patience: times.patience })

  const takeOut = async (): Promise<void> => {
    for (const claim of claims.all()) {
      claim.sockets = 0
      for (const member of claim.members?.values() ?? []) {
        member.isHere = false
        changeMember(claim, member)
      }
      speaker.say(claim)
    }
    await speaker.settle()
    // What is left, such as goodbyes, is the others' from now on.
    await keyspace.run(keys.leases, ...callOf('bury', [keys.leases, keys.dead, keys.sockets], node()))
  }

  await keyspace.open()
  try {
    await keyspace.prepare()
    await lease.beat()
  } catch (error) {
    // A shard that is away does not keep the others from being used.
    if (!isCluster || isReady()) {
      keyspace.close()
      throw unusable(address.reasonOf(error))
    }
  }
  register()
  life.start()

  return {
    ...reads,
    occupy: (app, channel, sockets) => {
      if (isClosing) return
      const claim = claims.get(app, channel) ?? claims.of(app, channel)
      claim.sockets = sockets
      speaker.say(claim)
    },
    join: async (app, channel, member, max): Promise<Joined> => {
      if (isClosing) return 'unknown'
      const claim = claims.of(app, channel)
      const known = claim.members?.get(String(member.user_id))
      if (known?.isHere && known.had && !known.isUnsure) return 'joined'
      const { waiting } = claimMember(claim, member, Number.isFinite(max) ? max : -1)
      speaker.say(claim, true)
      if (!mayTalk(claim)) return 'unknown'
      let tell: ((joined: Joined) => void) | undefined
      const joined = new Promise<Joined>((resolve) => {
        tell = resolve
        waiting.add(resolve)
      })
      const answer = await within(joined, times.patience)
      if (answer !== 'late') return answer
      if (tell) waiting.delete(tell)
      return 'unknown'
    },
    leave: (app, channel, user) => {
      const claim = claims.get(app, channel)
      const member = claim?.members?.get(user)
      if (isClosing || !claim || !member?.isHere) return
      member.isHere = false
      changeMember(claim, member)
      speaker.say(claim)
    },
    occupySockets: lease.occupySockets,
    othersSockets: lease.othersSockets,
    recheck: life.comeBack,
    close: async () => {
      if (isClosing) return
      isClosing = true
      notices.close()
      await within(life.end().then(takeOut).catch(ignore), times.farewell)
      keyspace.close()
    },
  }
}

// The others take out what this one could not.
const ignore = (): void => undefined
