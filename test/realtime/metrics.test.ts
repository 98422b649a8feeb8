/** What an operator reads at /metrics: by app what its sockets do, and how the process is. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createMetrics } from '../../realtime/metrics.ts'

/** Returns the lines of the metrics whose name begins so. */
const linesOf = async ({ text }: Pick<ReturnType<typeof createMetrics>, 'text'>, beginning: string) =>
  (await text()).split('\n').filter((line) => line.startsWith(beginning))

test('each app is shown with its own numbers', async () => {
  const metrics = createMetrics()
  const [chat, shop] = [metrics.ofApp('1'), metrics.ofApp('2')]
  Object.assign(chat, { sockets: 3, subscriptions: 5, published: 7, clientEvents: 11 })
  Object.assign(shop, { sent: 13, sentBytes: 1700, received: 19, receivedBytes: 2300 })
  shop.refused('signature')
  shop.refused('signature')
  shop.refused('4004')
  expect((await linesOf(metrics, 'hubbub_')).filter((line) => line.includes('{') && !line.endsWith(' 0'))).toEqual([
    'hubbub_sockets{app="1"} 3',
    'hubbub_subscriptions{app="1"} 5',
    'hubbub_published_events_total{app="1"} 7',
    'hubbub_client_events_total{app="1"} 11',
    'hubbub_sent_frames_total{app="2"} 13',
    'hubbub_sent_bytes_total{app="2"} 1700',
    'hubbub_received_frames_total{app="2"} 19',
    'hubbub_received_bytes_total{app="2"} 2300',
    'hubbub_refusals_total{app="2",reason="signature"} 2',
    'hubbub_refusals_total{app="2",reason="4004"} 1',
  ])
})

test('what is counted is shown as it stands, however often it is read', async () => {
  const metrics = createMetrics()
  const app = metrics.ofApp('1')
  app.sent += 2
  expect(await linesOf(metrics, 'hubbub_sent_frames_total')).toEqual(['hubbub_sent_frames_total{app="1"} 2'])
  expect(await linesOf(metrics, 'hubbub_sent_frames_total')).toEqual(['hubbub_sent_frames_total{app="1"} 2'])
  app.sent += 1
  expect(metrics.ofApp('1')).toBe(app)
  expect(await linesOf(metrics, 'hubbub_sent_frames_total')).toEqual(['hubbub_sent_frames_total{app="1"} 3'])
})

test('an app that nobody has used is not shown', async () => {
  expect((await linesOf(createMetrics(), 'hubbub_')).filter((line) => line.includes('app='))).toEqual([])
})

test('deliveries of webhooks are told by app and outcome', async () => {
  const metrics = createMetrics()
  const hooks = metrics.hooksOf('1')
  hooks.told(3)
  hooks.failed()
  hooks.dropped(2)
  expect(await linesOf(metrics, 'hubbub_webhook_deliveries_total')).toEqual([
    'hubbub_webhook_deliveries_total{app="1",outcome="delivered"} 3',
    'hubbub_webhook_deliveries_total{app="1",outcome="retried"} 1',
    'hubbub_webhook_deliveries_total{app="1",outcome="dropped"} 2',
  ])
})

test('the process is shown where it is asked for, again and again in one process', async () => {
  for (let turn = 0; turn < 3; turn += 1) {
    const metrics = createMetrics({ ofProcess: true })
    const names = (await linesOf(metrics, '# TYPE ')).map((line) => line.split(' ')[2])
    expect(names).toEqual(
      expect.arrayContaining([
        'hubbub_sockets',
        'hubbub_process_cpu_seconds_total',
        'hubbub_process_resident_memory_bytes',
        'hubbub_process_open_fds',
        'hubbub_nodejs_eventloop_lag_p99_seconds',
        'hubbub_nodejs_gc_duration_seconds',
      ]),
    )
    expect(names.filter((name) => name?.includes('_active_'))).toEqual([])
  }
  expect(await linesOf(createMetrics(), 'hubbub_process_')).toEqual([])
})

test('measuring the process does not keep it alive', async () => {
  const metrics = fileURLToPath(new URL('../../realtime/metrics.ts', import.meta.url))
  const script = `import { createMetrics } from ${JSON.stringify(metrics)}; createMetrics({ ofProcess: true })`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: 'inherit' })
  expect(await once(child, 'exit')).toEqual([0, null])
})
