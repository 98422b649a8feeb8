import { defineConfig } from 'vitest/config'

const overSockets = [
  'chat-channels',
  'hostility',
  'http-api',
  'key-watch',
  'lossy-bus',
  'protocol',
  'pusher-js',
  'realtime',
  'recovery',
  'subscribe',
].map((suite) => `test/realtime/${suite}.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
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
