import { describe, expect, test } from 'vitest';
import type { TestModule } from 'vitest/node';
import { reportOf } from '#test/support/reporter.ts';

interface Planned {
  readonly tests?: readonly { readonly name: string; readonly state: 'passed' | 'failed' | 'skipped' | 'pending' }[];
  readonly suiteErrors?: readonly string[];
  readonly moduleErrors?: readonly string[];
}

const errors = (messages: readonly string[] = []) => messages.map(message => ({ message }));

/** Only what the reporter asks of a module of vitest's. */
const moduleOf = ({ tests = [], suiteErrors = [], moduleErrors = [] }: Planned): TestModule =>
  ({
    moduleId: '/checkout/test/unit/x.test.ts',
    errors: () => errors(moduleErrors),
    children: {
      allSuites: () => [{ fullName: 'a group', errors: () => errors(suiteErrors) }],
      allTests: () => tests.map(({ name, state }) => ({ fullName: name, result: () => ({ state }) })),
    },
  }) as unknown as TestModule;

const count = (planned: Planned, strict = false, unhandled: readonly string[] = []) =>
  reportOf([moduleOf(planned)], errors(unhandled), { root: '/checkout', strict });

describe('the counts behind "N passed, N failed"', () => {
  test('a skipped test is a skip at home and a failure on the CI machine', () => {
    const planned = {
      tests: [
        { name: 'a > b', state: 'passed' as const },
        { name: 'a > c', state: 'skipped' as const },
      ],
    };
    expect(count(planned)).toEqual({ files: 1, passed: 1, skipped: 1, failures: [] });
    expect(count(planned, true)).toEqual({ files: 1, passed: 1, skipped: 0, failures: ['test/unit/x.test.ts: a > c: skipped, and not in may-skip.ts'] });
  });

  test('a test that never finished is a failure', () => {
    expect(count({ tests: [{ name: 'a', state: 'pending' }] }).failures).toEqual(['test/unit/x.test.ts: a: never finished']);
  });

  test('a failed hook is a failure, though its tests only count as skipped', () => {
    const { failures, skipped } = count({ tests: [{ name: 'a', state: 'skipped' }], suiteErrors: ['no such namespace\n at x'] });
    expect(failures).toEqual(['test/unit/x.test.ts: a group: no such namespace']);
    expect(skipped).toBe(1);
  });

  test('a file that cannot be loaded and an error outside of any test are failures', () => {
    expect(count({ moduleErrors: ['SyntaxError'] }, false, ['late rejection']).failures).toEqual([
      'an error outside of any test: late rejection',
      'test/unit/x.test.ts: SyntaxError',
    ]);
  });
});
