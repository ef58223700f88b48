import { describe, expect, test } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { problemText } from '#enforcer/config/problems.ts';
import { configSchema } from '#enforcer/config/schema.ts';
import { configOf, defaultConfig, fileOf } from '#enforcer/config/units.ts';
import { servedAlways } from '#enforcer/launch/prime.ts';

const nothing = { tcp: [], udp: [] };
const read = (text: string) => {
  const { config, problems } = parseConfig(text, 'c');
  if (config === undefined) throw new Error(problems.map(problemText).join('; '));
  return config;
};
const told = (text: string): readonly string[] => parseConfig(text, 'c').problems.map(problemText);

test('by default the dashboard listens on loopback: no scanner learns that there are traps', () => {
  expect(defaultConfig.dashboard).toEqual({ bind: { host: '127.0.0.1', port: 8443 }, names: [] });
  expect(servedAlways(defaultConfig, nothing).tcp).not.toContain(8443);
});

test('where it is reached from outside its port is no trap, and nobody scans who calls it', () => {
  expect(servedAlways(read('dashboard: { bind: 0.0.0.0:9443 }'), nothing).tcp).toContain(9443);
  expect(servedAlways(read('dashboard: { bind: "[::]" }'), nothing).tcp).toContain(8443);
  for (const bind of ['127.0.0.1:9443', '"[::1]:9443"', 'off', 'false']) expect(servedAlways(read(`dashboard: { bind: ${bind} }`), nothing).tcp).toEqual([]);
});

test.each(['{}', '{ bind: off }', '{ bind: 192.0.2.1, names: [board.example, "2001:db8::1"] }', '{ certificate: /c.pem, key: /k.pem }'])(
  'what was read is written the same: %s',
  text => {
    const config = read(`dashboard: ${text}`);
    expect(configOf(configSchema.parse(fileOf(config)))).toEqual(config);
  },
);

describe('what is wrong is told with the right form', () => {
  test.each([
    ['{ bind: board.example }', /bind.*off, or an address/],
    ['{ bind: 0.0.0.0:99999 }', /bind.*off, or an address/],
    ['{ certificate: /c.pem }', /dashboard\.key: is missing: a certificate needs its key/],
    ['{ key: /k.pem }', /dashboard\.certificate: is missing/],
    ['{ certificate: c.pem, key: /k.pem }', /absolute path/],
    ['{ names: ["a b"] }', /a name or an address/],
    ['{ port: 8443 }', /unknown key/],
  ])('%s', (text, form) => {
    expect(told(`dashboard: ${text}`).join('; ')).toMatch(form);
  });
});
