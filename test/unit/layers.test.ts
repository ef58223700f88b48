/**
 * The layer rules can fail: every kind of violation, planted in every pure room, is refused by the linter's own configuration, and a clean file is
 * not. What Biome cannot express is scanned here: a relative path that leaves its room, and a rule switched off by a comment.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

const PURE_ROOMS = [
  'enforcer/intel',
  'enforcer/detect',
  'enforcer/ledger',
  'enforcer/mesh/protocol',
  'enforcer/mesh/signed',
  'enforcer/traps/protocols',
  'cloud/hub',
] as const;

/** Comments that switch a layer rule off, each looked at once. */
const ALLOWED_IGNORES: readonly string[] = ['enforcer/intel/time.ts'];

interface Planted {
  readonly name: string;
  readonly code: string;
  /** The rule that must refuse it; `null`: it must pass. */
  readonly rule: 'noRestrictedImports' | 'noRestrictedGlobals' | 'plugin' | null;
}

const global = (name: string, code: string): Planted => ({ name, code, rule: 'noRestrictedGlobals' });
const imported = (name: string, code: string): Planted => ({ name, code, rule: 'noRestrictedImports' });

const VIOLATIONS: readonly Planted[] = [
  imported('node-fs', "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;"),
  imported('node-fs-without-prefix', "import { readFileSync } from 'fs';\nexport const x = readFileSync;"),
  imported('node-type-only', "import type { Socket } from 'node:net';\nexport type X = Socket;"),
  imported('node-re-exported', "export { connect } from 'node:net';"),
  imported('node-dynamic', "export const x = await import('node:fs');"),
  imported('random-bytes', "import { createHash, randomBytes } from 'node:crypto';\nexport const x = [createHash, randomBytes];"),
  imported('crypto-as-a-whole', "import * as all from 'node:crypto';\nexport const x = all;"),
  imported('zlib-async', "import { inflate } from 'node:zlib';\nexport const x = inflate;"),
  imported('package', "import { pino } from 'pino';\nexport const x = pino;"),
  imported('another-room', "import type { Kernel } from '#enforcer/kernel/port.ts';\nexport type X = Kernel;"),
  global('clock', 'export const x = Date.now();'),
  global('clock-as-object', 'export const x = new Date();'),
  global('monotonic-clock', 'export const x = performance.now();'),
  global('timer', 'setTimeout(() => {}, 1);'),
  global('interval', 'setInterval(() => {}, 1);'),
  global('microtask', 'queueMicrotask(() => {});'),
  global('process', "export const x = process.env['HOME'];"),
  global('console', "console.log('x');"),
  global('web-crypto', 'export const x = crypto.randomUUID();'),
  global('network', "export const x = fetch('https://203.0.113.7/');"),
  global('back-door', 'export const x = globalThis.Date.now();'),
  global('require', "export const x = require('node:fs');"),
  { name: 'random', code: 'export const x = Math.random();', rule: 'plugin' },
  { name: 'random-by-index', code: "export const x = Math['random']();", rule: 'plugin' },
  { name: 'random-destructured', code: 'const { random } = Math;\nexport const x = random();', rule: 'plugin' },
  { name: 'random-by-alias', code: 'export const x = [Math].map(each => each.random());', rule: 'plugin' },
];

/** In intel, which browsers bundle, even what is deterministic of Node is refused. */
const deterministic = imported('hash', "import { createHash } from 'node:crypto';\nexport const x = createHash('sha256');");
const IN_INTEL: readonly Planted[] = [deterministic, global('buffer', 'export const x = Buffer.alloc(1);')];
const CLEAN: Planted = {
  name: 'clean',
  code: "import type { Seen } from './seen.ts';\nexport const larger = (a: Seen, b: number): number => Math.max(a.count, b);",
  rule: null,
};
const CLEAN_OUTSIDE_INTEL: readonly Planted[] = [
  { ...deterministic, rule: null },
  { name: 'intel', code: "import type { Address } from '@honeymesh/intel/address';\nexport type X = Address;", rule: null },
  { name: 'checksum', code: "import { crc32 } from 'node:zlib';\nexport const x = crc32;", rule: null },
];

const plantedIn = (room: string): readonly Planted[] => [CLEAN, ...VIOLATIONS, ...(room === 'enforcer/intel' ? IN_INTEL : CLEAN_OUTSIDE_INTEL)];

describe('a pure room', () => {
  let folder = '';
  let complaints = new Map<string, string[]>();

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'honeymesh-layers-'));
    for (const file of ['biome.json', 'pure-rooms.grit']) copyFileSync(join(ROOT, file), join(folder, file));
    for (const room of PURE_ROOMS) for (const { name, code } of plantedIn(room)) plant(folder, `${room}/${name}.ts`, code);
    plant(
      folder,
      'enforcer/pipeline/impure.ts',
      VIOLATIONS.filter(({ name }) => name === 'clock' || name === 'random')
        .map(({ code }) => code)
        .join('\n'),
    );
    complaints = lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  for (const room of PURE_ROOMS) {
    for (const { name, rule } of plantedIn(room)) {
      test(`${room} ${rule === null ? 'admits' : 'refuses'} ${name}`, () => {
        const seen = complaints.get(`${room}/${name}.ts`) ?? [];
        if (rule === null) expect(seen).toEqual([]);
        else expect(seen).toContain(rule);
      });
    }
  }

  test('is what the rules are for: the same code passes in an impure one', () => {
    const rules = complaints.get('enforcer/pipeline/impure.ts') ?? [];
    expect(rules.filter(rule => ['noRestrictedImports', 'noRestrictedGlobals', 'plugin'].includes(rule))).toEqual([]);
  });
});

describe('what the linter cannot say', () => {
  test('the scan finds a path that leaves the room, and a rule switched off', () => {
    const scan = (code: string, file = 'enforcer/traps/protocols/ssh/kex.ts') => strayingOf('enforcer/traps/protocols', file, code);
    expect(scan("import type { Kernel } from '../../../kernel/port.ts';")).toEqual(['imports ../../../kernel/port.ts']);
    expect(scan("export * from '../../server/listen.ts';")).toEqual(['imports ../../server/listen.ts']);
    expect(scan("const x = await import('../../server/listen.ts');")).toEqual(['imports ../../server/listen.ts']);
    expect(scan("import '../../server/listen.ts';")).toEqual(['imports ../../server/listen.ts']);
    expect(scan("import {\n  a,\n  b,\n} from '../../../store/port.ts';")).toEqual(['imports ../../../store/port.ts']);
    expect(scan("import { a } from '../machine.ts';")).toEqual([]);
    expect(scan('// biome-ignore lint/style/noRestrictedGlobals: because')).toEqual(['switches a layer rule off']);
    expect(scan('// biome-ignore-all lint: because')).toEqual(['switches a layer rule off']);
    expect(scan('// biome-ignore lint/complexity/useLiteralKeys: because')).toEqual([]);
  });

  for (const room of PURE_ROOMS.filter(each => existsSync(join(ROOT, each)))) {
    test(`${room} reaches nothing outside of itself by a relative path`, () => {
      const straying = sourcesBelow(join(ROOT, room)).flatMap(path => {
        const file = relative(ROOT, path);
        return strayingOf(room, file, readFileSync(path, 'utf8')).map(what => `${file} ${what}`);
      });
      expect(straying).toEqual(ALLOWED_IGNORES.filter(file => file.startsWith(`${room}/`)).map(file => `${file} switches a layer rule off`));
    });
  }
});

function plant(folder: string, file: string, code: string): void {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${code}\n`);
}

/** The rules that each file broke, by its path below the folder. */
function lint(folder: string): Map<string, string[]> {
  const biome = join(ROOT, 'node_modules/.bin/biome');
  const args = [biome, 'lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github', '.'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const found = new Map<string, string[]>();
  for (const [, title = '', path = ''] of stdout.matchAll(/^::\w+ title=([^,]*),file=([^,]*),/gm)) {
    const file = relative(folder, path);
    found.set(file, [...(found.get(file) ?? []), title.split('/').at(-1) ?? title]);
  }
  if (found.size === 0) throw new Error(`biome said nothing that could be read: ${stdout.slice(0, 2000)}${stderr.slice(0, 2000)}`);
  return found;
}

function strayingOf(room: string, file: string, code: string): string[] {
  const straying: string[] = [];
  for (const [, path = ''] of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]*)['"]/g)) {
    if (!join(dirname(file), path).startsWith(`${room}/`)) straying.push(`imports ${path}`);
  }
  if (/biome-ignore\S*\s+(?:lint\/style\/noRestricted|lint\/plugin|plugin|lint(?:\/style)?:)/.test(code)) straying.push('switches a layer rule off');
  return straying;
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => join(entry.parentPath, entry.name));
}
