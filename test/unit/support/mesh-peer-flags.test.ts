/** The scriptable node's command line is other people's contract: Go's style, and nothing taken that is not heeded. */
import { describe, expect, test } from 'vitest';
import { durationMs, parseFlags } from '#test/support/mesh-peer/flags.ts';

describe('flags of the scriptable node', () => {
  test('are written with one dash or two, with = or the value after them', () => {
    expect(parseFlags(['-name', 'a', '--port=7', '-label=x', '--meta', 'AQI=', '-relay'])).toMatchObject({
      name: 'a',
      port: 7,
      label: new Uint8Array([120]),
      meta: new Uint8Array([1, 2]),
      relay: true,
    });
  });

  test('a boolean takes no word after it: only = makes it false', () => {
    expect(parseFlags(['-compress=false', '-relay', '-name', 'a'])).toMatchObject({ compress: false, relay: true, name: 'a' });
    expect(() => parseFlags(['-compress', 'false'])).toThrow('not a flag');
  });

  test('keys, versions, joins and timings', () => {
    const flags = parseFlags(['-key', 'AAAA,AQID', '-proto', '3', '-delegate-proto', '2,5,4', '-join', 'a,b:1', '-profile', 'wan', '-probe-interval', '1.5s']);
    expect(flags.keys.map(key => [...key])).toEqual([
      [0, 0, 0],
      [1, 2, 3],
    ]);
    expect([...flags.versions]).toEqual([1, 5, 3, 2, 5, 4]);
    expect(flags.join).toEqual(['a', 'b:1']);
    expect(flags.tuning).toMatchObject({ probeIntervalMs: 1500, probeTimeoutMs: 3000 });
  });

  test.each([
    [['-nothing'], 'no flag -nothing'],
    [['-identity', 'x'], 'no flag -identity'],
    [['-name'], 'lacks its value'],
    [['-port', 'x'], 'not a number'],
    [['-meta', 'AQI'], 'base64'],
    [['-proto', '6'], '1 to 5'],
    [['-profile', 'moon'], 'lan, wan and local'],
    [['-watch', '5'], 'no duration'],
    [['-relay=perhaps'], 'true or false'],
    [['name'], 'not a flag'],
  ])('%j is refused in words', (args, words) => {
    expect(() => parseFlags(args)).toThrow(words);
  });

  test.each([
    ['0', 0],
    ['50ms', 50],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250us', 0.25],
  ])('%s are %d ms', (text, ms) => {
    expect(durationMs(text)).toBeCloseTo(ms);
  });
});
