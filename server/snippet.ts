/** The ten lines of pusher-js that hear every message. */

/** Returns them filled in; `bearer` is JavaScript: the value of the Authorization header. */
export const snippet = ({ api, bearer }: { api: string; bearer: string }): string => `import Pusher from 'pusher-js'

const headers = { Authorization: ${bearer} }
const { config, auth_endpoint, channels } = await fetch('${api}/api/v1/realtime', { headers }).then((answer) => answer.json())

const pusher = new Pusher(config.key, {
  cluster: config.cluster, wsHost: config.host, wsPort: config.port, wssPort: config.port,
  forceTLS: config.forceTLS, enabledTransports: ['ws', 'wss'],
  channelAuthorization: { endpoint: auth_endpoint, headers },
})
const inbox = pusher.subscribe(channels.workspace)
inbox.bind('pusher:subscription_succeeded', () => console.log('listening'))
inbox.bind('message.new', (message) => console.log(\`\${message.sender_type}: \${message.content}\`))
`
