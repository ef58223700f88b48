/** The tests that may be skipped on the CI machine, each with the reason. Every other skip fails there: a test that never runs shows nothing. */
export interface MaySkip {
  /** Path from the root of the checkout. */
  readonly file: string;
  /** The whole name, as the reporter prints it: `group > test`. */
  readonly test: string;
  readonly why: string;
}

export const MAY_SKIP: readonly MaySkip[] = [];

export const maySkip = (file: string, test: string): boolean => MAY_SKIP.some(entry => entry.file === file && entry.test === test);
