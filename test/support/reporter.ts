/**
 * Counts for `npm test`, written as JSON to the file that HONEYMESH_TEST_REPORT names. What counts as failed: a test, a hook, a file that could
 * not be loaded, an error outside of any test, and with CI=true a skipped test that is not in may-skip.ts.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { maySkip } from './may-skip.ts';

export interface Report {
  readonly files: number;
  readonly passed: number;
  readonly skipped: number;
  /** One line for each failure: file and name. */
  readonly failures: readonly string[];
}

type Errors = readonly { readonly message: string }[];

/** The counts of a run; `strict` is CI. */
export function reportOf(modules: readonly TestModule[], unhandled: Errors, { root, strict }: { readonly root: string; readonly strict: boolean }): Report {
  let passed = 0;
  let skipped = 0;
  const failures: string[] = unhandled.map(({ message }) => `an error outside of any test: ${firstLine(message)}`);
  for (const module of modules) {
    const file = relative(root, module.moduleId);
    for (const { message } of module.errors()) failures.push(`${file}: ${firstLine(message)}`);
    for (const suite of module.children.allSuites()) {
      for (const { message } of suite.errors()) failures.push(`${file}: ${suite.fullName}: ${firstLine(message)}`);
    }
    for (const test of module.children.allTests()) {
      const outcome = outcomeOf(test, file, strict);
      if (outcome === 'passed') passed++;
      else if (outcome === 'skipped') skipped++;
      else failures.push(`${file}: ${test.fullName}${outcome === 'failed' ? '' : `: ${outcome}`}`);
    }
  }
  return { files: modules.length, passed, skipped, failures };
}

function outcomeOf(test: TestCase, file: string, strict: boolean): 'passed' | 'skipped' | 'failed' | 'skipped, and not in may-skip.ts' | 'never finished' {
  const { state } = test.result();
  if (state === 'pending') return 'never finished';
  if (state === 'skipped' && strict && !maySkip(file, test.fullName)) return 'skipped, and not in may-skip.ts';
  return state;
}

const firstLine = (message: string): string => message.split('\n', 1)[0] ?? '';

export default class CountingReporter implements Reporter {
  #root = process.cwd();

  onInit(vitest: Parameters<NonNullable<Reporter['onInit']>>[0]): void {
    this.#root = vitest.config.root;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: Errors): void {
    const strict = process.env.CI === 'true';
    const report = reportOf(modules, unhandled, { root: this.#root, strict });
    const file = process.env.HONEYMESH_TEST_REPORT;
    if (file !== undefined) writeFileSync(file, JSON.stringify(report));
    if (strict && report.failures.length > 0) process.exitCode = 1;
  }
}
