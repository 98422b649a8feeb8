import { defineConfig } from 'vitest/config'

const overSockets = [
  'realtime/cache-channels',
  'realtime/chat-channels',
  'realtime/client-events',
  'realtime/codes',
  'realtime/hostility',
  'realtime/http-api',
  'realtime/http-batches',
  'realtime/http-paths',
  'realtime/http-publishing',
  'realtime/http-questions',
  'realtime/http-requests',
  'realtime/key-watch',
  'realtime/lossy-bus',
  'realtime/presence',
  'realtime/protocol',
  'realtime/pusher-js',
  'realtime/realtime',
  'realtime/recovery',
  'realtime/subscribe',
  'realtime/users',
  'soak/fuzz',
].map((suite) => `test/${suite}.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Most tests wait for processes that they have started: on two cores a third one finds time.
    maxWorkers: 3,
    projects: [
      { extends: true, test: { name: 'layout', include: ['test/layout/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'behaviour',
          include: ['test/**/*.test.ts'],
          exclude: ['test/layout/**'],
          // Redis first: where it is missing, nothing has been started yet.
          globalSetup: ['test/support/redis-setup.ts', 'test/support/postgres-setup.ts'],
          provide: { transport: 'uws' },
        },
      },
      // What is about sockets, once more over the transport of machines without the native addon.
      { extends: true, test: { name: 'ws', include: overSockets, provide: { transport: 'ws' } } },
    ],
  },
})
