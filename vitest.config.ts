// Four projects: unit (fast, no servers; what `npm run check` runs), slow (whole folds over days, towns, programs as processes; no servers),
// integration (real servers, one file after another), e2e (the whole system).
import { defineConfig } from 'vitest/config'

const never = ['**/node_modules/**', '**/.meterstream/**', 'api/web/dist/**']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          testTimeout: 30_000,
          include: ['**/*.test.ts', '**/*.test.tsx'],
          exclude: [...never, '**/*.slow.test.ts', '**/*.int.test.ts', '**/*.e2e.test.ts'],
          // Pure code shares nothing: the files of a worker share its modules, which saves most of the time.
          isolate: false,
          pool: 'threads',
        },
      },
      {
        test: {
          name: 'slow',
          testTimeout: 120_000,
          include: ['**/*.slow.test.ts'],
          exclude: never,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['**/*.int.test.ts'],
          exclude: never,
          globalSetup: ['deploy/local/test-servers.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['**/*.e2e.test.ts'],
          exclude: never,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
