import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'node:tls';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDashboard, type Dashboard } from '#enforcer/dashboard/dashboard.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';

let state: string;
let nowMs: number;
let complaints: Map<string, string>;
let dashboard: Dashboard | undefined;
let other: Server | undefined;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'honeymesh-dashboard-'));
  nowMs = Date.UTC(2026, 10, 24, 12);
  complaints = new Map();
});
afterEach(async () => {
  await dashboard?.stop();
  other?.close();
  rmSync(state, { recursive: true, force: true });
});

function make(port: number | null, own: { certificate: string; key: string } | null = null): Dashboard {
  const metrics = { text: () => Promise.resolve(''), decided: () => {}, stored: () => {}, stop: () => {} };
  dashboard = createDashboard(
    { bind: port === null ? null : { host: '127.0.0.1', port }, names: [], own, state },
    {
      operations: () => fakeOperations(),
      metrics,
      record: () => {},
      sight: () => {},
      complain: (key, why, fix) => complaints.set(key, `${why}; ${fix}`),
      recovered: key => complaints.delete(key),
      onBug: error => {
        throw error;
      },
      now: () => unixMs(nowMs),
      random: length => Uint8Array.from(randomBytes(length)),
    },
  );
  return dashboard;
}

/** What is served there, and by which protocol; null: it refused. */
function look(port: number, options: object = {}): Promise<{ certificate: X509Certificate; protocol: string | null } | null> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
      resolve({ certificate: new X509Certificate(socket.getPeerCertificate().raw), protocol: socket.getProtocol() });
      socket.destroy();
    });
    socket.on('error', () => resolve(null));
  });
}

const until = async (met: () => boolean | Promise<boolean>): Promise<void> => {
  for (let times = 0; !(await met()); times++) {
    if (times > 200) throw new Error('it never came about');
    await wait(10);
  }
};

test('a port that is taken is complained of with what to set, and it listens when that is free', async () => {
  const taking = createServer();
  other = taking;
  const port = await new Promise<number>(resolve => taking.listen(0, '127.0.0.1', () => resolve((taking.address() as AddressInfo).port)));
  const made = make(port);
  expect(await made.start()).toBeNull();
  expect(complaints.get('listen')).toMatch(/^there is no dashboard: .* something else listens there; set dashboard\.bind to .*tried again every 30 s$/);
  await new Promise(resolve => taking.close(resolve));
  nowMs += 29_000;
  made.tick();
  expect(await look(port)).toBeNull();
  nowMs += 2_000;
  made.tick();
  await until(async () => (await look(port)) !== null);
  expect(complaints.size).toBe(0);
});

test('the certificate is renewed without a restart, for whoever connects next, and as strict as before', async () => {
  const made = make(0);
  const welcome = await made.start();
  const port = Number(new URL(welcome?.url ?? '').port);
  const first = await look(port);
  expect(first?.certificate.fingerprint256).toBe(welcome?.fingerprint);
  nowMs += 370 * DAY_MS;
  made.tick();
  await until(async () => (await look(port))?.certificate.fingerprint256 !== first?.certificate.fingerprint256);
  const next = await look(port);
  expect(next?.protocol).toBe('TLSv1.3');
  expect(next?.certificate.publicKey.export({ format: 'pem', type: 'spki' })).toEqual(first?.certificate.publicKey.export({ format: 'pem', type: 'spki' }));
  expect((await made.tokenOperations.tokenStatus()).fingerprint).toBe(next?.certificate.fingerprint256);
  expect(await look(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })).toBeNull();
  expect(await look(port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA' })).toBeNull();
});

test('off it serves nothing, and its token can be made all the same', async () => {
  const made = make(null);
  expect(await made.start()).toBeNull();
  expect(complaints.size).toBe(0);
  expect((await made.tokenOperations.tokenRotate({})).token).toMatch(/^[0-9a-f]{64}$/);
  expect(await made.tokenOperations.tokenStatus()).toMatchObject({ url: null, fingerprint: null });
});

test("with a certificate of the operator's that is none it says which file, and enforcement waits for nobody", async () => {
  expect(await make(0, { certificate: join(state, 'none.pem'), key: join(state, 'none.key') }).start()).toBeNull();
  expect(complaints.get('listen')).toMatch(/dashboard\.certificate cannot be read: .*none\.pem/);
});

test('the token is shown by the first start and by none after it', async () => {
  const first = await make(0).start();
  expect(first?.token).toMatch(/^[0-9a-f]{64}$/);
  await dashboard?.stop();
  expect((await make(0).start())?.token).toBeNull();
});
