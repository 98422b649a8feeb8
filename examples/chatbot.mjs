/**
 * Answers visitors: hears of what they say by webhook (message.created), and replies by the API.
 * MURO_WEBHOOK_SECRET=whsec_… PORT=8000 node examples/chatbot.mjs http://127.0.0.1:3000 mr_live_…
 */
import { startReceiver } from './webhook-receiver.mjs'

const [, , api, key] = process.argv
const { MURO_WEBHOOK_SECRET: secret, PORT: port = '8000' } = process.env

/** What it says; a real one would ask a model here. */
const answerTo = (text) =>
  /refund/i.test(text) ? 'I am looking into your refund; a colleague will be with you shortly.' : 'Thanks, got it!'

startReceiver({
  secret,
  port: Number(port),
  work: async ({ id, type, data: { message } }) => {
    // What agents say is also its own: a bot that answers itself never ends.
    if (type !== 'message.created' || message.sender_type !== 'visitor') return
    const answer = await fetch(`${api}/api/v1/conversations/${message.conversation_id}/messages`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        'Content-Type': 'application/json',
        // An event that comes twice is answered once, also after a restart.
        'Idempotency-Key': id,
      },
      body: JSON.stringify({ content: answerTo(message.content) }),
    })
    // 404: the conversation was deleted meanwhile.
    if (!answer.ok && answer.status !== 404) throw new Error(await answer.text())
  },
})
