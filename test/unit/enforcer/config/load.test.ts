import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LONGEST_CONFIG_BYTES, loadConfig, parseConfig } from '#enforcer/config/load.ts';
import { problemText } from '#enforcer/config/problems.ts';
import { configSchema } from '#enforcer/config/schema.ts';
import { configOf, defaultConfig } from '#enforcer/config/units.ts';

const told = (text: string): readonly string[] => parseConfig(text, 'config.yaml').problems.map(problemText);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-config-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function written(text: string | Uint8Array): string {
  const path = join(directory, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

describe('a good file', () => {
  test('that is empty, or comments only, is the defaults', () => {
    for (const text of ['', '\n', '# nothing\n', '---\n', '{}']) expect(parseConfig(text, 'c').config, text).toEqual(defaultConfig);
  });

  test('is read in the units of the code', () => {
    const { config, problems } = parseConfig(
      `interfaces: [eth0, eth0, wg0]
mode: observe
allow: [198.51.100.0/24, "2001:db8::/32", 203.0.113.7]
services: { ports: [443, 53/udp, "8000-8002", 8001, 9000-9001/udp], grace: 1h30m }
traps: { ports: [3306, 22, 22, 161/udp, "8000-8002", 8001, 67-69/udp], patience: study, deadline: 500ms, session: 2m, sessions: 100, study: { sessions: 3 } }
egress: off
detect: { fast: { ports: 5, window: 90s } }
bans: { touch: 30m }
`,
      'c',
    );
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      interfaces: ['eth0', 'wg0'],
      mode: 'observe',
      allow: ['198.51.100.0/24', '2001:db8::/32', '203.0.113.7/32'],
      services: { served: { tcp: [443, 8000, 8001, 8002], udp: [53, 9000, 9001] }, graceMs: 5_400_000 },
      traps: {
        ports: { tcp: [22, 3306, 8000, 8001, 8002], udp: [67, 68, 69, 161] },
        patience: 'study',
        deadlineMs: 500,
        sessionMs: 120_000,
        sessions: 100,
        sessionsPerSource: 64,
        study: { longestMs: 600_000, sessions: 3 },
      },
      egress: 'off',
      detect: { fast: { ports: 5, windowMs: 90_000 }, slow: { ports: 25, windowMs: 86_400_000 } },
      bans: { touchMs: 1_800_000, contentMs: 86_400_000 },
    });
  });

  test.each(['off', 'false', '"off"', '[]'])('takes %s for traps that are off', written => {
    expect(parseConfig(`traps: { ports: ${written} }`, 'c').config?.traps.ports).toEqual({ tcp: [], udp: [] });
  });

  test('takes typical and all for ports of traps, and the former where nothing is said', () => {
    for (const word of ['typical', 'all'] as const) expect(parseConfig(`traps: { ports: ${word} }`, 'c').config?.traps.ports).toBe(word);
    expect(defaultConfig.traps).toEqual({
      ports: 'typical',
      patience: 'listen',
      deadlineMs: 3_000,
      sessionMs: 60_000,
      sessions: 16_384,
      sessionsPerSource: 64,
      study: { longestMs: 600_000, sessions: 20 },
    });
  });

  test('tells on which line each of its keys stands', () => {
    const { lines } = parseConfig('mode: observe\ndetect:\n  slow:\n    window: 48h\n', 'c');
    expect([...lines]).toEqual([
      ['mode', 1],
      ['detect.slow.window', 4],
    ]);
  });
});

describe('a wrong file is told with line, column, key and the right form', () => {
  test.each<[what: string, text: string, told: string]>([
    ['a misspelt key', 'mode: observe\nalow: []\n', 'config.yaml:2:1: alow: unknown key, did you mean allow?'],
    ['a misspelt key further in', 'detect:\n  fast: { windw: 60s }\n', 'config.yaml:2:11: detect.fast.windw: unknown key, did you mean window?'],
    ['a key at the wrong place', 'touch: 4h\n', 'config.yaml:1:1: touch: unknown key here, did you mean bans.touch?'],
    [
      'a key of a later version',
      'traps: { ports: off, weather: fine }',
      'config.yaml:1:22: traps.weather: unknown key; traps knows ports, patience, deadline, session, sessions, sessionsPerSource, study',
    ],
    [
      'a misspelt patience',
      'traps: { patience: instnt }',
      'config.yaml:1:20: traps.patience: "instnt" is wrong: give one of instant, listen, study; did you mean instant?',
    ],
    ['a deadline out of bounds', 'traps: { deadline: 50ms }', 'config.yaml:1:20: traps.deadline: "50ms" is out of bounds: give 100ms to 10m'],
    ['a session shorter than its deadline', 'traps: { deadline: 90s }', 'config.yaml:1:8: traps.session: is shorter than traps.deadline'],
    ['more sessions for one than for all', 'traps: { sessions: 32 }', 'config.yaml:1:8: traps.sessionsPerSource: is more than traps.sessions'],
    ['a time of study out of bounds', 'traps: { study: { time: 2d } }', 'config.yaml:1:25: traps.study.time: "2d" is out of bounds: give 1s to 24h'],
    ['a misspelt word', 'mode: enforc', 'config.yaml:1:7: mode: "enforc" is wrong: give one of observe, enforce, lockdown; did you mean enforce?'],
    ['a number without a unit', 'services: { grace: 24 }', 'config.yaml:1:20: services.grace: 24 has no unit: write a duration such as "24h" (ms, s, m, h, d)'],
    ['a unit in words', 'services: { grace: 24 hours }', 'config.yaml:1:20: services.grace: "24 hours" is not a duration: write "24h"'],
    ['another unit in words', 'bans: { touch: 2weeks }', 'config.yaml:1:16: bans.touch: "2weeks" is not a duration: write "14d"'],
    [
      'no duration at all',
      'bans: { touch: soon }',
      'config.yaml:1:16: bans.touch: "soon" is not a duration: write a number with its unit such as "4h" (ms, s, m, h, d)',
    ],
    ['a duration out of bounds', 'detect: { shun: { ttl: 48h } }', 'config.yaml:1:24: detect.shun.ttl: "48h" is out of bounds: give 1s to 24h'],
    ['a number out of bounds', 'detect: { fast: { ports: 33 } }', 'config.yaml:1:26: detect.fast.ports: 33 is wrong: give a whole number from 1 to 32'],
    ['too small a ban map', 'bans: { capacity: 9999 }', 'config.yaml:1:19: bans.capacity: 9999 is wrong: give a whole number from 10000 to 1048576'],
    [
      'host bits',
      'allow: [198.51.100.7/24]',
      'config.yaml:1:9: allow[0]: "198.51.100.7/24" has bits set beyond its length: did you mean 198.51.100.0/24 or 198.51.100.7?',
    ],
    ['no list', 'interfaces: eth0', 'config.yaml:1:13: interfaces: "eth0" is wrong: give a list of network interfaces such as [eth0]'],
    [
      'an interface name that no kernel takes',
      'interfaces: [a/b]',
      'config.yaml:1:14: interfaces[0]: "a/b" is wrong: give the name of a network interface such as eth0 (at most 15 characters, no blank, / or :)',
    ],
    [
      'a port inside a list that may also be off',
      'traps:\n  ports:\n    - 22\n    - 70000\n',
      'config.yaml:4:7: traps.ports[1]: 70000 is wrong: give a port from 1 to 65535',
    ],
    [
      'a misspelt word for ports of traps',
      'traps: { ports: typicl }',
      'config.yaml:1:17: traps.ports: "typicl" is wrong: give typical, all, off or a list of ports such as [22, "8000-8010", "161/udp"]; did you mean typical?',
    ],
    [
      'a range of ports the wrong way round',
      'traps: { ports: [22, 90-80/udp] }',
      'config.yaml:1:22: traps.ports[1]: "90-80/udp" is wrong: give a port such as 8080, "53/udp" or "8000-8100" (1 to 65535, the lower one first)',
    ],
    [
      'a section without keys',
      'bans:\nmode: observe\n',
      'config.yaml:1:6: bans: is empty: give the keys capacity, touch, content, longest, memory, aggregate, widen, or take the line out',
    ],
    [
      'two keys that contradict each other',
      'detect: { shun: { ttl: 60s, longest: 5s } }',
      'config.yaml:1:38: detect.shun.longest: is shorter than detect.shun.ttl',
    ],
    ['a key that is there twice', 'mode: observe\nmode: enforce\n', 'config.yaml:2:1: not valid YAML: Map keys must be unique'],
    ['a second document', 'mode: observe\n---\nmode: enforce\n', 'config.yaml:2:1: a second document starts here: a configuration is one'],
    ['a tag', 'mode: !secret observe', 'config.yaml:1:7: not valid YAML: Unresolved tag: !secret'],
    [
      'a list instead of keys',
      '- mode',
      'config.yaml:1:1: a list is wrong: give the keys interfaces, mode, allow, services, traps, xdp, egress, detect, bans, share, mesh, hub, notify, dashboard, store, log',
    ],
    [
      'control characters in a key',
      '"a\\u001b[2J": 1',
      'config.yaml:1:1: "a\\u001b[2J": unknown key; known are interfaces, mode, allow, services, traps, xdp, egress, detect, bans, share, mesh, hub, notify, dashboard, store, log',
    ],
  ])('%s', (_what, text, expected) => {
    expect(told(text)).toEqual([expected]);
  });

  test('and all of it at once, in the order of the file', () => {
    const lines = told('mode: enforc\nalow: []\ntraps: { ports: [0, x] }\nbans: { touch: 4 }\n').map(line => line.split(': ', 2)[0]);
    expect(lines).toEqual(['config.yaml:1:7', 'config.yaml:2:1', 'config.yaml:3:18', 'config.yaml:3:21', 'config.yaml:4:16']);
  });

  test('and no more than an operator can read', () => {
    const many = Array.from({ length: 5_000 }, (_, at) => `k${at}: 1`).join('\n');
    expect(told(many).length).toBeLessThanOrEqual(50);
  });
});

describe('a file that is not one', () => {
  test('is told by its name where it was asked for, and is the defaults where it was not', () => {
    const absent = join(directory, 'absent.yaml');
    const result = loadConfig({ path: absent });
    expect(result.ok ? [] : result.problems.map(problemText)).toEqual([`${absent}: there is no such file`]);
    const named = loadConfig({ environment: { HONEYMESH_CONFIG: absent } });
    expect(named.ok).toBe(false);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['too large', 'x'.repeat(LONGEST_CONFIG_BYTES + 1), `is larger than ${LONGEST_CONFIG_BYTES} bytes`],
    ['not UTF-8', Uint8Array.of(0xff, 0xfe, 0x41), 'is not UTF-8 text'],
  ])('%s', (_what, bytes, expected) => {
    const path = written(bytes);
    const result = loadConfig({ path });
    expect(result.ok ? [] : result.problems.map(problemText)).toEqual([`${path}: ${expected}`]);
  });

  test('but a directory', () => {
    const result = loadConfig({ path: directory });
    expect(result.ok ? [] : result.problems.map(problemText)).toEqual([`${directory}: is a directory, not a file`]);
  });
});

describe('flags beat the environment, which beats the file', () => {
  const environment = { HONEYMESH_MODE: 'lockdown', HONEYMESH_INTERFACE: 'env0, env1', HONEYMESH_INSTANCE: 'from-env' };

  test('flag', () => {
    const result = loadConfig({
      path: written('mode: enforce\ninterfaces: [file0]\n'),
      environment,
      overrides: { mode: 'observe', interfaces: ['flag0'], instance: 'from-flag' },
    });
    expect(result).toMatchObject({ ok: true, value: { instance: 'from-flag', config: { mode: 'observe', interfaces: ['flag0'] } } });
    expect(result.ok && result.value.sources.get('mode')).toEqual({ from: 'flag', name: '--mode' });
  });

  test('environment', () => {
    const result = loadConfig({ path: written('mode: enforce\ninterfaces: [file0]\n'), environment });
    expect(result).toMatchObject({ ok: true, value: { instance: 'from-env', config: { mode: 'lockdown', interfaces: ['env0', 'env1'] } } });
    expect(result.ok && result.value.sources.get('interfaces')).toEqual({ from: 'environment', name: 'HONEYMESH_INTERFACE' });
  });

  test('file', () => {
    const path = written('mode: observe\ninterfaces: [file0]\n');
    const result = loadConfig({ environment: { HONEYMESH_CONFIG: path, HONEYMESH_MODE: '' } });
    expect(result).toMatchObject({ ok: true, value: { path, instance: 'main', config: { mode: 'observe', interfaces: ['file0'] } } });
    expect(result.ok && result.value.sources.get('interfaces')).toEqual({ from: 'file', line: 2 });
    expect(result.ok && result.value.sources.get('egress')).toEqual({ from: 'default' });
  });

  test('and a wrong one is told by the name of what carried it, beside what is wrong in the file', () => {
    const path = written('mod: x\n');
    const result = loadConfig({ path, environment: { HONEYMESH_MODE: 'observ' }, overrides: { instance: '../x', interfaces: ['a b'] } });
    expect(result.ok ? [] : result.problems.map(problemText)).toEqual([
      `${path}:1:1: mod: unknown key, did you mean mode?`,
      '--instance: "../x" is no instance name: give 1 to 32 lower-case letters, digits and dashes',
      'HONEYMESH_MODE: "observ" is wrong: give one of observe, enforce, lockdown; did you mean observe?',
      '--interface: "a b" is wrong: give the name of a network interface such as eth0 (at most 15 characters, no blank, / or :)',
    ]);
  });
});

test('a path is told in full: it is read in other folders than this', () => {
  const path = written('mode: observe\n');
  const result = loadConfig({ path: relative(process.cwd(), path) });
  expect(result.ok && result.value.path).toBe(path);
});

test('everybody is not allowed by a slip of the pen', () => {
  expect(told('allow: [198.51.100.7, 0.0.0.0/0]\n')).toEqual([
    'config.yaml:1:8: allow: 0.0.0.0/0 is everybody: to decide and record without dropping set "mode: observe"',
  ]);
  expect(told('allow: ["::/0"]\n')[0]).toContain('::/0 is everybody');
});

test('the defaults are those of the schema', () => {
  expect(defaultConfig).toEqual(configOf(configSchema.parse({})));
  expect(defaultConfig.interfaces).toBeUndefined();
  expect(defaultConfig.share.never).toContain('10.0.0.0/8');
});
