/** What is deployed: the very files that the emulators run in test/cloud. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FUNCTIONS, type FunctionName } from '#cloud/functions/functions.ts';
import { bundleInto } from '#infra/bundle.ts';
import { zipFolder } from '#test/support/cloud/zip.ts';

/** The SDK looks for it before it signs for several regions at once, which nothing here does. */
const ONLY_TRIED = '@aws-sdk/signature-v4-crt';

const LONGEST_ZIPPED_BYTES = 1_000_000;

const names = Object.keys(FUNCTIONS) as FunctionName[];
const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bundles-'));
const codeOf = (name: FunctionName): string => join(folder, 'functions', name);

beforeAll(() => {
  for (const name of names) bundleInto(folder)(name, FUNCTIONS[name].entry, 24);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(names)('the bundle of %s', name => {
  test('is one file of less than a megabyte zipped, without its source map', () => {
    expect(readdirSync(codeOf(name))).toEqual(['index.js']);
    expect(zipFolder(codeOf(name)).length).toBeLessThan(LONGEST_ZIPPED_BYTES);
    expect(readFileSync(join(codeOf(name), 'index.js'), 'utf8')).not.toContain('sourceMappingURL=data:');
    expect(existsSync(join(folder, 'maps', `${name}.js.map`))).toBe(true);
  });

  test('needs nothing but Node: what it uses of the SDK is in it', () => {
    const code = readFileSync(join(codeOf(name), 'index.js'), 'utf8');
    const required = [...code.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, module]) => module as string);
    expect([...new Set(required)].filter(module => module !== ONLY_TRIED && !module.startsWith('node:') && !builtinModules.includes(module))).toEqual([]);
  });

  test('says no path of the machine that built it', () => {
    expect(readFileSync(join(codeOf(name), 'index.js'), 'utf8')).not.toContain(process.cwd());
  });
});

test('the same code is the same file, so that a deployment without a change changes nothing', () => {
  const before = readFileSync(join(codeOf('ingest'), 'index.js'));
  bundleInto(folder)('ingest', FUNCTIONS.ingest.entry, 24);
  expect(readFileSync(join(codeOf('ingest'), 'index.js')).equals(before)).toBe(true);
}, 30_000);
