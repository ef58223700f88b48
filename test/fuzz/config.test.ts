import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { stringify } from 'yaml';
import { LONGEST_CONFIG_BYTES, parseConfig } from '#enforcer/config/load.ts';
import { problemText } from '#enforcer/config/problems.ts';

/** A config or problems, never both, never neither; each problem on one printable line with a place that exists. */
function judged(text: string): void {
  const { config, problems } = parseConfig(text, 'c');
  expect(config === undefined).toBe(problems.length > 0);
  const lines = text.split(/\r\n|\r|\n/).length;
  for (const problem of problems) {
    const told = problemText(problem);
    if (problem.line !== null) expect(problem.line).toBeLessThanOrEqual(lines);
    if (!told.includes('not valid YAML')) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      expect(told).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      expect(told.length).toBeLessThan(500);
    }
  }
}

const KEYS = [
  'interfaces',
  'mode',
  'allow',
  'services',
  'ports',
  'grace',
  'traps',
  'xdp',
  'egress',
  'detect',
  'fast',
  'slow',
  'window',
  'shun',
  'ttl',
  'flood',
  'bans',
  'touch',
  'share',
  'never',
  'store',
  'log',
  'level',
  '__proto__',
  'constructor',
];
const leaf = fc.oneof(
  fc.constantFrom('off', 'enforce', '24h', '24', 'eth0', '10.0.0.0/8', '10.0.0.1/8', '53/udp', '9-1', '::/0', ''),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string(),
);
const { tree } = fc.letrec(tie => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie('tree'), { maxKeys: 5 }),
    fc.array(tie('tree'), { maxLength: 4 }),
  ),
}));

test.prop([fc.string({ maxLength: 2_000 })], { numRuns: 1_000 })('any text is a configuration or told why not', judged);

test.prop(
  [
    fc.array(
      fc.constantFrom(
        ...KEYS,
        ':',
        ': ',
        '\n',
        '  ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        ',',
        '? ',
        '&a ',
        '*a',
        '!x ',
        '|\n',
        '>',
        '"',
        "'",
        '#',
        '<<: ',
        '---\n',
        '%YAML 1.1\n',
        '\t',
        '\u0000',
        '\u001b[2J',
        'off',
        '24h',
        '7',
      ),
      { maxLength: 60 },
    ),
  ],
  {
    numRuns: 3_000,
  },
)('any heap of YAML pieces is a configuration or told why not', pieces => judged(pieces.join('')));

test.prop([tree], { numRuns: 3_000 })('any tree of values is a configuration or told why not', value => judged(stringify(value) ?? ''));

describe('a file made to be slow or deep is refused soon', () => {
  const size = LONGEST_CONFIG_BYTES - 100;
  test.each<[string, string]>([
    ['brackets', '['.repeat(size)],
    ['balanced brackets', '['.repeat(size / 2) + ']'.repeat(size / 2)],
    ['braces', '{a: '.repeat(size / 4)],
    ['dashes', '- '.repeat(size / 2)],
    ['complex keys', '? '.repeat(size / 2)],
    ['complex keys in a list', '[? '.repeat(size / 3)],
    ['complex keys behind dashes', '- ? '.repeat(size / 4)],
    ['few complex keys', '? '.repeat(100)],
    ['few complex keys behind dashes', '- ? '.repeat(300)],
    ['indentation', Array.from({ length: 500 }, (_, at) => `${' '.repeat(at)}a:`).join('\n')],
    ['many keys', Array.from({ length: 9_000 }, (_, at) => `k${at}: 1`).join('\n')],
    ['anchors', '&a '.repeat(size / 3)],
    [
      'aliases that multiply',
      `a: &a [1,1]\n${Array.from({ length: 30 }, (_, at) => `b${at}: &b${at} [*${at === 0 ? 'a' : `b${at - 1}`}, *${at === 0 ? 'a' : `b${at - 1}`}]`).join('\n')}`,
    ],
    ['quotes', '"'.repeat(size)],
    ['tags', '!a '.repeat(size / 3)],
  ])('%s', (_what, text) => {
    const started = performance.now();
    judged(text);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
