import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeIntel } from '@honeymesh/intel/advisories';
import { type KeyId, sealEnvelope } from '@honeymesh/intel/envelope';
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openOutbox } from '#enforcer/relay/outbox.ts';
import { prefix } from '#test/support/hm1.ts';

const KID = '0011223344556677' as KeyId;
const now = unixMs(1_800_000_000_000);
const signatures = { sign: () => new Uint8Array(64), verify: () => true };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-outbox-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function own(seq: number, { epoch = 1, kid = KID, ttlS = 3_600 } = {}) {
  const body = encodeIntel({ advice: [{ target: prefix('203.0.113.7/32'), tier: 'E1', reasons: ['trap-touch'], ttlS }], withdrawals: [] });
  const by = { clusterId: new Uint8Array(16), secret: new Uint8Array(32), signatures };
  return { epoch, seq, bytes: sealEnvelope({ kid, epoch, seq, issuedAt: now, ttlS, type: 'intel' }, body, by) };
}

const chain = (outbox: ReturnType<typeof openOutbox>) => outbox.oldest(100).map(({ epoch, seq, previous }) => [epoch, seq, previous]);
const receipt = (epoch: number, upTo: number, ranges: readonly (readonly [number, number])[] = []) => ({
  v: 1 as const,
  at: now,
  epoch,
  upTo,
  ranges,
  refused: [],
});

test('each entry names the one before it in its epoch, whatever lies between them', () => {
  const outbox = openOutbox({ directory, kid: KID });
  outbox.add([own(2), own(3), own(7), own(1, { epoch: 2 })], now);
  expect(chain(outbox)).toEqual([
    [1, 2, 0],
    [1, 3, 2],
    [1, 7, 3],
    [2, 1, 0],
  ]);
  outbox.close();
});

test('what was handed over before is not taken again, not even after its receipt', () => {
  const outbox = openOutbox({ directory, kid: KID });
  outbox.add([own(1), own(2)], now);
  expect(outbox.settle(receipt(1, 2))).toBe(2);
  outbox.add([own(1), own(2), own(3)], now);
  expect(chain(outbox)).toEqual([[1, 3, 2]]);
  outbox.close();
});

test('a receipt takes out what it covers of its own epoch and nothing else', () => {
  const outbox = openOutbox({ directory, kid: KID });
  outbox.add([own(1), own(2), own(3), own(4), own(1, { epoch: 2 })], now);
  outbox.settle(receipt(1, 1, [[3, 3]]));
  expect(chain(outbox)).toEqual([
    [1, 2, 1],
    [1, 4, 3],
    [2, 1, 0],
  ]);
  expect(outbox.waiting).toBe(3);
  outbox.close();
});

test('what expires leaves no hole that the hub would wait for', () => {
  const outbox = openOutbox({ directory, kid: KID });
  outbox.add([own(1), own(2, { ttlS: 10 }), own(5, { ttlS: 10 }), own(9)], now);
  expect(outbox.prune(unixMs(now + 11 * SECOND_MS))).toBe(2);
  expect(chain(outbox)).toEqual([
    [1, 1, 0],
    [1, 9, 1],
  ]);
  outbox.add([own(10, { ttlS: 20 })], now);
  outbox.prune(unixMs(now + 21 * SECOND_MS));
  outbox.add([own(12)], now);
  expect(chain(outbox).at(-1)).toEqual([1, 12, 9]);
  outbox.close();
});

test('beyond its bound the oldest go, without a hole', () => {
  const outbox = openOutbox({ directory, kid: KID, most: 2 });
  outbox.add([own(1), own(2), own(3), own(4)], now);
  expect(chain(outbox)).toEqual([
    [1, 3, 0],
    [1, 4, 3],
  ]);
  outbox.close();
});

test('what an earlier key of this host signed is dropped, and what another one signed is not taken', () => {
  openOutbox({ directory, kid: 'ffffffffffffffff' }).add([own(1, { kid: 'ffffffffffffffff' as KeyId })], now);
  const outbox = openOutbox({ directory, kid: KID });
  outbox.add([own(4, { kid: 'ffffffffffffffff' as KeyId }), own(5)], now);
  expect(chain(outbox)).toEqual([[1, 5, 0]]);
  outbox.close();
});

test('a process that is killed loses nothing that it had taken', async () => {
  const envelopes = [own(1), own(2), own(3)].map(({ epoch, seq, bytes }) => ({ epoch, seq, bytes: Buffer.from(bytes).toString('base64') }));
  const script = `
    const { openOutbox } = await import(${JSON.stringify(new URL('../../../../enforcer/relay/outbox.ts', import.meta.url).href)});
    const outbox = openOutbox({ directory: ${JSON.stringify(directory)}, kid: ${JSON.stringify(KID)} });
    outbox.add(${JSON.stringify(envelopes)}.map(one => ({ ...one, bytes: Uint8Array.from(Buffer.from(one.bytes, 'base64')) })), ${now});
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  const outbox = openOutbox({ directory, kid: KID });
  expect(chain(outbox)).toHaveLength(3);
  outbox.close();
});

test('the head is kept', () => {
  const first = openOutbox({ directory, kid: KID });
  expect(first.head()).toBeNull();
  first.keepHead({ epoch: 12, number: 34 });
  first.close();
  const outbox = openOutbox({ directory, kid: KID });
  expect(outbox.head()).toEqual({ epoch: 12, number: 34 });
  outbox.close();
});
