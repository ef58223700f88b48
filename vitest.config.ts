/** A project for each folder of tests. What touches the kernel or network namespaces runs one file at a time. */
import { defineConfig } from 'vitest/config';

const nightly = process.env.HONEYMESH_NIGHTLY === '1';

const project = (
  name: string,
  timeouts: { readonly testSeconds: number; readonly hookSeconds: number },
  options: { readonly oneAtATime: boolean; readonly allCores?: boolean },
) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeouts.testSeconds * 1000 * (nightly ? 20 : 1),
    hookTimeout: timeouts.hookSeconds * 1000,
    ...(options.oneAtATime ? { fileParallelism: false, maxWorkers: 1 } : {}),
    // Vitest leaves a core to itself, which has nothing to do while seeds and inputs run by the thousand.
    ...(options.allCores === true ? { maxWorkers: '100%' } : {}),
  },
});

/** The emulators start once for all files. */
const cloud = project('cloud', { testSeconds: 60, hookSeconds: 60 }, { oneAtATime: true });

export default defineConfig({
  test: {
    // Suites run as root and as a user in one checkout: nothing is kept that the other could not write.
    cache: false,
    fsModuleCache: false,
    reporters: ['default', './test/support/reporter.ts'],
    projects: [
      project('unit', { testSeconds: 10, hookSeconds: 10 }, { oneAtATime: false }),
      project('property', { testSeconds: 60, hookSeconds: 10 }, { oneAtATime: false, allCores: true }),
      project('fuzz', { testSeconds: 60, hookSeconds: 10 }, { oneAtATime: false, allCores: true }),
      project('simulation', { testSeconds: 120, hookSeconds: 30 }, { oneAtATime: false, allCores: true }),
      project('kernel', { testSeconds: 60, hookSeconds: 60 }, { oneAtATime: true }),
      project('system', { testSeconds: 90, hookSeconds: 60 }, { oneAtATime: true }),
      project('interop', { testSeconds: 120, hookSeconds: 60 }, { oneAtATime: true }),
      { ...cloud, test: { ...cloud.test, globalSetup: ['./test/support/cloud/global-set-up.ts'] } },
    ],
  },
});
