import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { connectControl } from '#enforcer/control/client.ts';
import { createLineCutter } from '#enforcer/control/lines.ts';
import { CALLS, parseAnswer, parseRequest } from '#enforcer/control/protocol.ts';
import { checkArguments } from '#enforcer/control/requests.ts';
import { createControlServer } from '#enforcer/control/server.ts';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';

const almost = fc.oneof(
  fc.string(),
  fc.json(),
  fc
    .record({ id: fc.oneof(fc.nat(), fc.anything()), op: fc.oneof(fc.constantFrom(...CALLS, 'tail', 'cancel'), fc.string()), args: fc.jsonValue() })
    .map(value => JSON.stringify(value) ?? ''),
);

test.prop([almost], { numRuns: 2_000 })('no line makes a parser throw', line => {
  for (const parse of [parseRequest, parseAnswer]) expect(typeof parse(line).ok).toBe('boolean');
});

test.prop([fc.constantFrom(...CALLS), fc.anything()], { numRuns: 2_000 })('arguments are taken or refused with HM_USAGE', (call, args) => {
  try {
    checkArguments(call, args);
  } catch (error) {
    expect(error).toBeInstanceOf(HoneyMeshError);
    expect((error as HoneyMeshError).code).toBe('HM_USAGE');
  }
});

test.prop([
  fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '€', '"', '\r', ' ') }), { maxLength: 20 }),
  fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
])('lines are the same however the bytes were cut', (texts, sizes) => {
  const bytes = Buffer.from(texts.map(text => `${text}\n`).join(''));
  const cutter = createLineCutter({ longestBytes: 1_000 });
  const lines: string[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    lines.push(...cutter.push(bytes.subarray(at, at + size)).lines);
    at += size;
  }
  expect(lines).toEqual(texts);
});

test.prop([fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 10 }), fc.integer({ min: 1, max: 20 })])(
  'no line longer than the bound gets through, and none after it',
  (lengths, bound) => {
    const cutter = createLineCutter({ longestBytes: bound });
    const { lines, tooLong } = cutter.push(Buffer.from(lengths.map(length => `${'x'.repeat(length)}\n`).join('')));
    const firstLong = lengths.findIndex(length => length > bound);
    expect(tooLong).toBe(firstLong >= 0);
    expect(lines.map(line => line.length)).toEqual(firstLong < 0 ? lengths : lengths.slice(0, firstLong));
  },
);

test('a daemon lives through garbage from many clients and still answers', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'honeymesh-fuzz-'));
  const socketPath = join(directory, 'control.sock');
  const bugs: unknown[] = [];
  const server = createControlServer({ socketPath }, { operations: fakeOperations(), onBug: bug => bugs.push(bug) });
  await server.start();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          almost.map(text => Buffer.from(`${text}\n`)),
          fc.uint8Array().map(bytes => Buffer.from(bytes)),
        ),
        { maxLength: 10 },
      ),
      async pieces => {
        await new Promise<void>((resolve, reject) => {
          const late = setTimeout(() => reject(new Error('the daemon held the connection open')), 5_000);
          const socket = connect(socketPath, () => socket.end(Buffer.concat(pieces)));
          socket.on('error', () => {});
          socket.on('close', () => {
            clearTimeout(late);
            resolve();
          });
          socket.resume();
        });
      },
    ),
    { numRuns: 300 },
  );
  const client = await connectControl(socketPath);
  expect((await client.status()).version).toBe('0.1.0');
  client.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
  expect(bugs).toEqual([]);
});
