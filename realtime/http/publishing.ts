/** What servers do to an app's sockets over HTTP: publish events, and close the sockets of a user. */

import { isUserId, type Publication, type Unfit, userIdRule } from '../../schema/pusher-http.ts'
import type { Roster } from '../roster/roster.ts'
import type { HttpReply } from '../transport/transport.ts'
import type { AppApi } from './app-api.ts'
import { type Call, type Route, unescapePath } from './call.ts'
import { fitting, type Told, tellCounts } from './counts.ts'
import { readParams, readQueryParams, readText } from './params.ts'
import { done, json, text, tryLater } from './replies.ts'

/** Makes the routes that publish, and the one that closes sockets. */
export const createPublishing = ({ roster }: { roster: Pick<Roster, 'counts'> }) => {
  const trigger = ({ caller, request }: Call): HttpReply | Promise<HttpReply> => {
    const refused = caller.events(1)
    if (refused) return refused
    const params = readParams(request)
    if (typeof params === 'string') return text(400, params)
    const event = caller.reader.trigger(params)
    if (isUnfit(event)) return text(event.status, event.text)
    if (event.info.length === 0) return publish(caller.api, [event], done)

    const { channels, info } = event
    return publishAndTell(
      caller.api,
      [event],
      channels.map((channel) => fitting({ channel, info })),
      // Not assigned one by one, since a channel may be called __proto__.
      (told) => ({ channels: Object.fromEntries(channels.map((channel, index) => [channel, told[index]])) }),
    )
  }

  const batch = ({ caller, request }: Call): HttpReply | Promise<HttpReply> => {
    const params = readParams(request)
    const given = typeof params === 'string' ? undefined : params.batch
    const events = Array.isArray(given) ? Math.min(given.length, caller.api.app.maxEventBatchSize) : 1
    const refused = caller.events(Math.max(events, 1))
    if (refused) return refused
    if (typeof params === 'string') return text(400, params)
    const read = caller.reader.batch(params)
    if (isUnfit(read)) return text(read.status, read.text)
    if (read.every(({ info }) => info.length === 0)) return publish(caller.api, read, done)

    const questions = read.flatMap(({ channels, info }) => channels.map((channel) => fitting({ channel, info })))
    return publishAndTell(caller.api, read, questions, (told) => ({ batch: told }))
  }

  /** The trigger of 2012: a channel in the path, and the body is the data. */
  const triggerOne = ({ caller, request, subject }: Call): HttpReply | Promise<HttpReply> => {
    const refused = caller.events(1)
    if (refused) return refused
    const channel = unescapePath(subject)
    if (channel === undefined) return text(400, badEscape)
    const data = readText(request.body)
    if (data === undefined) return text(400, 'The body is not UTF-8')
    const params = readQueryParams(request.query)
    const event = caller.reader.trigger({
      name: params.get('name'),
      socket_id: params.get('socket_id'),
      channel,
      data,
    })
    return isUnfit(event) ? text(event.status, event.text) : publish(caller.api, [event], accepted)
  }

  const terminate = ({ caller, subject }: Call): HttpReply => {
    const refused = caller.events(1)
    if (refused) return refused
    const user = unescapePath(subject)
    if (user === undefined) return text(400, badEscape)
    if (!isUserId(user)) return text(400, `The id of a user has ${userIdRule}`)
    caller.api.terminate(user)
    return done
  }

  // Counted first: whoever is answered 503 may try again, and then nothing may have been published yet.
  const publishAndTell = (
    api: AppApi,
    events: readonly Publication[],
    questions: Parameters<typeof tellCounts>[2],
    present: (told: Told[]) => object,
  ): Promise<HttpReply> =>
    tellCounts(roster, api.app.id, questions).then(
      (told) => publish(api, events, json(200, JSON.stringify(present(told)))),
      () => tryLater('The counts that info asks for cannot be had now, and nothing was published; try again'),
    )

  return { trigger: post(trigger), batch: post(batch), triggerOne: post(triggerOne), terminate: post(terminate) }
}

const post = (answer: Route['answer']): Route => ({ allow: 'POST', answer })

/** Publishes, and returns the answer once all of it is kept that has to be kept. */
const publish = (api: AppApi, events: readonly Publication[], reply: HttpReply): HttpReply | Promise<HttpReply> => {
  const keeping: Promise<void>[] = []
  for (const { name, data, channels, exceptSocketId } of events) {
    for (const channel of channels) {
      const kept = api.publish(channel, name, data, exceptSocketId)
      if (kept) keeping.push(kept)
    }
    api.metrics.published += channels.length
  }
  if (keeping.length === 0) return reply
  return Promise.all(keeping).then(
    () => reply,
    () => tryLater('An event on a cache channel could not be kept, and may not have been published; try again'),
  )
}

const isUnfit = (read: Publication | readonly Publication[] | Unfit): read is Unfit => 'status' in read

// Legacy clients look at the status alone.
const accepted: HttpReply = { status: 202, headers: {}, body: '' }

const badEscape = 'The path has a % that is not followed by two hex digits of UTF-8: escape it as %25'
