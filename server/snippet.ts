/** The lines of pusher-js that hear every message: ten, and five more that miss none after a lost connection. */

/** Returns them filled in; `bearer` is JavaScript: the value of the Authorization header. */
export const snippet = ({ api, bearer }: { api: string; bearer: string }): string => `import Pusher from 'pusher-js'

const headers = { Authorization: ${bearer} }
const { config, auth_endpoint, channels } = await fetch('${api}/api/v1/realtime', { headers }).then((answer) => answer.json())

const seen = {}
const pusher = new Pusher(config.key, {
  cluster: config.cluster, wsHost: config.host, wsPort: config.port, wssPort: config.port, wsPath: config.wsPath,
  forceTLS: config.forceTLS, enabledTransports: ['ws', 'wss'],
  channelAuthorization: { endpoint: auth_endpoint, headers, paramsProvider: () => seen },
})
const inbox = pusher.subscribe(channels.workspace)
inbox.bind('pusher:subscription_succeeded', () => console.log('listening'))
inbox.bind('message.new', (message) => console.log(\`\${message.sender_type}: \${message.content}\`))

inbox.bind_global((event, data) => {
  const seq = data?.seq ?? data?.to
  if (typeof seq === 'number') seen[\`since[\${inbox.name}]\`] = seq
})
inbox.bind('hubbub:recovery', ({ recovered }) => recovered || console.log('away for too long: read the inbox anew'))
`
