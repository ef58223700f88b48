import { describe, expect, test } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { placeText, readPlace } from '#enforcer/config/mesh-fields.ts';
import { ledgerPolicyOf } from '#enforcer/config/policies.ts';
import { problemText } from '#enforcer/config/problems.ts';
import { configSchema } from '#enforcer/config/schema.ts';
import { configOf, defaultConfig, fileOf, withoutSecrets } from '#enforcer/config/units.ts';
import { servedAlways } from '#enforcer/launch/prime.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');
const nothing = { tcp: [], udp: [] };

test("the contract's smallest configuration is taken as it stands", () => {
  const text = `interfaces: [eth0]
mode: enforce
allow: [198.51.100.0/24]
traps: { ports: typical, patience: listen }        # ports: typical | all | off | a list such as [22, 3306, 6379]
services: { ports: [], grace: 24h }                # ports that are served though no local socket says so (DNAT is found by itself)
mesh: { bind: 0.0.0.0:7946, join: [], key: ${KEY}, site: home, signatures: preferred, quorum: { sites: 2 } }   # absent: off
`;
  const { config, problems } = parseConfig(text, 'c');
  expect(problems).toEqual([]);
  expect(config?.mesh).toEqual({
    bind: { host: '0.0.0.0', port: 7946 },
    join: [],
    key: KEY,
    label: '',
    site: 'home',
    signatures: 'preferred',
    quorum: { sites: 2 },
    profile: 'lan',
    registrar: { host: '0.0.0.0', port: 7947 },
  });
});

test('without the group there is no mesh, with an empty one there is', () => {
  expect(defaultConfig.mesh).toBeUndefined();
  expect(parseConfig('mesh: {}', 'c').config?.mesh).toMatchObject({ bind: { host: '0.0.0.0', port: 7946 }, join: [], quorum: { sites: 2 } });
});

test('what it shows reads as the same, but for the key, which it does not show', () => {
  const file = {
    mesh: {
      bind: '[::]:17946',
      advertise: '192.0.2.1',
      join: ['Peer.Example.', '2001:db8::7', 'peer:1'],
      key: KEY,
      label: 'x',
      name: 'n-1',
      signatures: false,
      quorum: { sites: 3 },
      profile: 'wan',
    },
  };
  const config = configOf(configSchema.parse(file));
  expect(configOf(configSchema.parse(fileOf(config)))).toEqual(config);
  expect(config.mesh).toMatchObject({
    signatures: 'off',
    join: [
      { host: 'peer.example', port: 7946 },
      { host: '2001:db8::7', port: 7946 },
      { host: 'peer', port: 1 },
    ],
  });
  expect(JSON.stringify(fileOf(withoutSecrets(config)))).not.toContain(KEY);
});

describe('a place', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1:7946'],
    ['192.0.2.1:80', '192.0.2.1:80'],
    ['2001:DB8:0::1', '[2001:db8::1]:7946'],
    ['[2001:db8::1]', '[2001:db8::1]:7946'],
    ['[2001:db8::1]:80', '[2001:db8::1]:80'],
    ['::', '[::]:7946'],
    ['[::]:7946', '[::]:7946'],
    ['peer_1.example.:80', 'peer_1.example:80'],
  ])('%s is %s', (text, same) => {
    const place = readPlace(text, 7946);
    expect(place === undefined ? undefined : placeText(place)).toBe(same);
  });

  test.each([
    '',
    ':7946',
    '10.0.0.999',
    '10.0.1',
    '192.0.2.1:',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '[192.0.2.1]:80',
    '[::1',
    '::1]:80',
    'a b',
    'a/b',
    '-a',
    `${'a'.repeat(64)}.b`,
    '1.2.3.4:5:6',
  ])('%j is none', text => {
    expect(readPlace(text, 7946)).toBeUndefined();
  });
});

describe('a wrong value is told with its right form', () => {
  const told = (text: string): readonly string[] => parseConfig(text, 'c').problems.map(problemText);

  test.each<[string, string]>([
    ['mesh: { jion: [] }', 'c:1:9: mesh.jion: unknown key, did you mean join?'],
    ['mesh: { bind: 7946 }', 'c:1:15: mesh.bind: 7946 is wrong: give an address with or without a port, such as 192.0.2.1:7946 or "[2001:db8::1]:7946"'],
    ['mesh: { bind: here }', 'c:1:15: mesh.bind: "here" is wrong: give an address with or without a port, such as 192.0.2.1:7946 or "[2001:db8::1]:7946"'],
    [
      'mesh: { bind: [::] }',
      'c:1:15: mesh.bind: a list is wrong: give an address with or without a port, such as 192.0.2.1:7946 or "[2001:db8::1]:7946"; in YAML a text that begins with [ needs quotes',
    ],
    ['mesh: { advertise: 0.0.0.0 }', 'c:1:20: mesh.advertise: is no address that others could reach: give the one under which they see this host'],
    ['mesh: { join: peer }', 'c:1:15: mesh.join: "peer" is wrong: give a list of members such as [peer.example, "192.0.2.1:7946"]'],
    ['mesh: { signatures: prefered }', 'c:1:21: mesh.signatures: "prefered" is wrong: give one of off, preferred, required; did you mean preferred?'],
    ['mesh: { quorum: { sites: 0 } }', 'c:1:26: mesh.quorum.sites: 0 is wrong: give a whole number from 1 to 100'],
    ['mesh: { site: "a b" }', 'c:1:15: mesh.site: "a b" is wrong: give a word such as home: letters, digits, dots, dashes and underscores'],
    ['mesh: { key: c2VjcmV0 }', 'c:1:14: mesh.key: holds 6 bytes: give 16, 24 or 32 in base64; "head -c 32 /dev/urandom | base64" makes one'],
  ])('%s', (text, expected) => {
    expect(told(text)).toEqual([expected]);
  });

  test('and no key is shown, not even a wrong one', () => {
    for (const key of ['hunter2-hunter2-hunter2', '12345678', `"${'A'.repeat(42)}*"`, '[geheim]']) {
      const [problem = ''] = told(`mesh: { key: ${key} }`);
      expect(problem).toContain('mesh.key: ');
      expect(problem).not.toMatch(/hunter2|12345678|AAAA|geheim/);
    }
  });
});

test('its ports are served ones for good, also before it listens: no trap takes them, nobody who calls there scans', () => {
  const { config = defaultConfig } = parseConfig('mesh: { bind: 0.0.0.0:17946, registrar: 0.0.0.0:17947 }\nservices: { ports: [443] }', 'c');
  expect(servedAlways(config, { tcp: [8080], udp: [] })).toEqual({ tcp: [443, 8080, 17_946, 17_947], udp: [17_946] });
  expect(servedAlways(defaultConfig, nothing)).toEqual(nothing);
});

test('the quorum is the ledger policy of the configuration', () => {
  expect(ledgerPolicyOf(parseConfig('mesh: { quorum: { sites: 5 } }', 'c').config ?? defaultConfig).advice?.quorum).toBe(5);
  expect(ledgerPolicyOf(defaultConfig).advice?.quorum).toBe(2);
});
