import { defineConfig } from 'vitest/config'

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
        },
      },
    ],
  },
})
