/** Mirrors an inbox and prints what happens in it: node examples/mirror.mjs http://127.0.0.1:3000 mr_live_… */
import { setTimeout as pause } from 'node:timers/promises'

/** Puts an event into the mirror. An object whose seq is not smaller holds it already; `read` reads what is new. */
export const apply = async ({ conversations, contacts }, { type, seq, conversation_id: id, data }, read) => {
  const change = (object, facts) => object && object.seq < seq && Object.assign(object, facts, { seq })
  const learn = async (map, path, key) => {
    const object = map.has(key) ? undefined : await read(`/${path}/${key}`)
    if (object) map.set(key, { ...object, seq })
  }
  const { changed: _c, reason: _r, event_id: _e, conversation_seq: _s, last_message_at: _l, ...facts } = data
  const conversation = conversations.get(id)
  if (type === 'conversation.deleted') conversations.delete(id)
  if (type === 'contact.deleted') contacts.delete(data.id)
  if (type === 'contact.deleted' && data.merged_into) {
    const moved = [...conversations.values()].filter(({ visitor }) => visitor.id === data.id)
    if (moved.length > 0) await learn(contacts, 'contacts', data.merged_into)
    for (const one of moved) one.visitor = { ...one.visitor, id: data.merged_into }
  }
  if (type === 'conversation.update') change(conversation, facts)
  if (type === 'contact.update' && !contacts.has(data.id)) contacts.set(data.id, { object: 'contact', ...facts })
  if (type === 'contact.update') change(contacts.get(data.id), facts)
  if (type === 'conversation.opened') {
    await learn(contacts, 'contacts', data.visitor_id)
    await learn(conversations, 'conversations', id)
    change(contacts.get(data.visitor_id), {})
  }
  if (type !== 'message.new') return
  const { content, sender_type, created_at: at } = data
  if (sender_type === 'visitor') change(contacts.get(conversation?.visitor.id), { last_seen_at: at })
  const last = sender_type === 'system' ? {} : { last_message: { content, sender_type, at } }
  change(conversation, { ...last, last_activity_at: at })
}

/** Keeps a mirror up to date: a snapshot, then what comes after its cursor. Ends when the signal aborts. */
export const follow = async ({ api, key, signal, tell, mirror }) => {
  const read = async (path) => {
    const answer = await fetch(`${api}/api/v1${path}`, { headers: { Authorization: `Bearer ${key}` }, signal })
    if (answer.ok) return await answer.json()
    if (answer.status !== 404) throw Object.assign(new Error(await answer.text()), { status: answer.status })
  }
  for (let [page, cursor] = ['', '']; !signal?.aborted; ) {
    try {
      if (page === '') for (const map of Object.values(mirror)) map.clear()
      while (page !== null) {
        const snapshot = await read(`/snapshot${page && `?page=${page}`}`)
        for (const map of ['contacts', 'conversations']) for (const one of snapshot[map]) mirror[map].set(one.id, one)
        ;[page, cursor] = [snapshot.next_page, snapshot.cursor]
      }
      const { data, cursor: next } = await read(`/sync?cursor=${cursor}&wait=30`)
      for (const event of data) await apply(mirror, event, read)
      cursor = next
      for (const event of data) tell(event)
    } catch (error) {
      if ([401, 403].includes(error.status)) throw error
      if (error.status === 410) page = ''
      await pause(500)
    }
  }
}

if (process.argv[1]?.endsWith('mirror.mjs')) {
  const [, , api, key] = process.argv
  const mirror = { conversations: new Map(), contacts: new Map() }
  await follow({ api, key, mirror, tell: (event) => process.stdout.write(`${JSON.stringify(event)}\n`) })
}
