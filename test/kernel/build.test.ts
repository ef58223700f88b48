import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addon } from '#enforcer/kernel/native.ts';
import { BuildError, build, buildAddon, buildBpf } from '#enforcer/launch/setup/build.mjs';

let root: string;
let source: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hmt-build-'));
  mkdirSync(join(root, 'bpf'));
  source = join(root, 'bpf/small.bpf.c');
  writeFileSync(join(root, 'bpf/small.h'), '#define ANSWER 2\n');
  writeFileSync(source, '#include "small.h"\n__attribute__((section("xdp"), used)) int small(void *context) { return ANSWER; }\n');
});
afterEach(() => rmSync(root, { recursive: true }));

const refusal = (run: () => unknown): BuildError => {
  try {
    run();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

test('what is up to date is left alone, a changed header builds anew', () => {
  const said: string[] = [];
  const log = (line: string): void => void said.push(line);
  const output = buildBpf({ root, source, log });
  expect(readFileSync(output).subarray(1, 4).toString()).toBe('ELF');
  buildBpf({ root, source, log });
  expect(said).toEqual([expect.stringMatching(/^built bpf\/build\/small\.bpf\.o in \d+\.\d s$/)]);
  writeFileSync(join(root, 'bpf/small.h'), '#define ANSWER 1\n');
  buildBpf({ root, source, log });
  expect(said).toHaveLength(2);
});

test('a missing header names the package that has it', () => {
  writeFileSync(source, '#include <bpf/no_such_header.h>\n');
  expect(refusal(() => buildBpf({ root, source }))).toMatchObject({
    message: expect.stringContaining('bpf/no_such_header.h'),
    fix: 'install it: apt-get install libbpf-dev',
  });
});

test("a mistake in the source shows the compiler's words, and leaves no half of an object", () => {
  writeFileSync(source, 'int oops(void) { return missing; }\n');
  expect(refusal(() => buildBpf({ root, source })).message).toContain("use of undeclared identifier 'missing'");
  expect(() => readFileSync(join(root, 'bpf/build/small.bpf.o'))).toThrow('ENOENT');
});

test('a compiler that is not there is named, with what to install', () => {
  const path = process.env.PATH;
  process.env.PATH = root;
  try {
    expect(refusal(() => buildBpf({ root, source }))).toMatchObject({
      message: expect.stringContaining('clang is not installed'),
      fix: expect.stringContaining('apt-get install clang'),
    });
  } finally {
    process.env.PATH = path;
  }
});

test('without the packages of npm ci the addon says so', () => {
  expect(refusal(() => buildAddon({ root })).fix).toContain('npm ci --ignore-scripts');
});

test('the parts of this checkout are built, load, and are up to date the second time', () => {
  build();
  expect(build().built).toEqual([]);
  expect(addon().possibleCpus()).toBeGreaterThan(0);
});
