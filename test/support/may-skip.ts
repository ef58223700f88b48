/** The tests that may be skipped on the CI machine, each with the reason. Every other skip fails there: a test that never runs shows nothing. */
export interface MaySkip {
  /** Path from the root of the checkout. */
  readonly file: string;
  /** The whole name, as the reporter prints it: `group > test`; null: each test of the file. */
  readonly test: string | null;
  readonly why: string;
}

export const MAY_SKIP: readonly MaySkip[] = [
  ...['go', 'go-cluster', 'go-failures', 'hm1-go'].map(name => ({
    file: `test/interop/${name}.test.ts`,
    test: null,
    why: 'hashicorp/memberlist is built with the Go of the machine, which not every machine has; it says so on stderr',
  })),
  {
    file: 'test/unit/enforcer/cli/completion.test.ts',
    test: 'the manual page is read by groff without a warning and shows the commands as they are',
    why: 'groff is not on every machine',
  },
];

export const maySkip = (file: string, test: string): boolean => MAY_SKIP.some(entry => entry.file === file && (entry.test === null || entry.test === test));
