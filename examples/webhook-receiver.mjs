/** Takes webhooks and prints each event once: MURO_WEBHOOK_SECRET=whsec_… PORT=8000 node examples/webhook-receiver.mjs */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const fiveMinutes = 300

/** Says whether the bytes were signed with the secret. While one is rotated there are two v1: either will do. */
const isSigned = (secret, signature, body) => {
  const expected = Buffer.from(createHmac('sha256', secret).update(body).digest('hex'))
  return signature.split(',').some((part) => {
    const given = Buffer.from(part.startsWith('v1=') ? part.slice(3) : '')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

/** Says whether it was sent just now: what somebody has recorded is worth nothing later. */
const isFresh = (timestamp) => Math.abs(Date.now() / 1000 - Number(timestamp)) <= fiveMinutes

/** Starts a receiver that does its work with each event, and returns its server. */
export const startReceiver = ({ secret, port, host = '127.0.0.1', work }) => {
  if (!secret) throw new Error('MURO_WEBHOOK_SECRET is not set: POST /api/v1/webhooks answers it once')
  // An event may come more than once, always under the same id. A real receiver keeps the ids in its database, and
  // writes each in the transaction in which it does its work.
  const seen = new Set()

  const server = createServer(async (request, response) => {
    const answer = (status) => response.writeHead(status).end()
    if (request.method !== 'POST') return answer(405)
    const chunks = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    // The bytes as they came: JSON that is parsed and written again has another signature.
    const body = Buffer.concat(chunks)
    const { 'x-muro-signature': signature = '', 'x-muro-timestamp': timestamp = '' } = request.headers
    if (!isSigned(secret, signature, body) || !isFresh(timestamp)) return answer(401)
    const event = JSON.parse(body)
    // First the answer, then the work: whoever takes longer than ten seconds is sent it again.
    answer(204)
    if (seen.has(event.id)) return
    seen.add(event.id)
    await work(event).catch((error) => process.stderr.write(`${event.id}: ${error}\n`))
  })
  return server.listen(port, host, () => {
    process.stderr.write(`Taking webhooks at http://${host}:${server.address().port}\n`)
  })
}

if (process.argv[1]?.endsWith('webhook-receiver.mjs')) {
  const { MURO_WEBHOOK_SECRET: secret, PORT: port = '8000', HOST: host } = process.env
  const work = async (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
  startReceiver({ secret, port: Number(port), host, work })
}
