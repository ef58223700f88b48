import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS, HOUR_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeCertificate } from '#enforcer/dashboard/certificate.ts';
import { createDashboardIdentity, namesOfHost } from '#enforcer/dashboard/identity.ts';

let directory: string;
let nowMs: number;
let addresses: string[];
let renewals: string[];
const now = () => unixMs(nowMs);
const open = (more: { names?: readonly string[]; own?: { certificate: string; key: string } } = {}) =>
  createDashboardIdentity(
    { directory: join(directory, 'dashboard'), bind: { host: '0.0.0.0', port: 8443 }, names: more.names ?? [], own: more.own ?? null },
    { now, onRenewed: why => renewals.push(why), hostNames: () => ({ names: ['h1', 'localhost'], addresses }) },
  );
const sanOf = (pem: string) => new X509Certificate(pem).subjectAltName ?? '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-certificate-'));
  nowMs = Date.UTC(2026, 10, 24, 12);
  addresses = ['127.0.0.1', '::1', '192.0.2.5'];
  renewals = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("it names the host's names and addresses and those of the configuration, and is for servers only", async () => {
  const { certificate, key } = await open({ names: ['Board.example', '198.51.100.9', '2001:db8::9'] }).open();
  const read = new X509Certificate(certificate);
  for (const name of ['h1', 'localhost', 'board.example']) expect(read.checkHost(name)).toBe(name);
  for (const address of ['127.0.0.1', '192.0.2.5', '198.51.100.9', '2001:db8::9', '::1']) expect(read.checkIP(address)).toBe(address);
  expect(read.checkHost('other.example')).toBeUndefined();
  expect(read.ca).toBe(false);
  expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(Date.parse(read.validTo) - nowMs).toBeLessThan(398 * DAY_MS);
  expect(key).toContain('PRIVATE KEY');
});

test('it is made once: a start finds it again', async () => {
  const first = await open().open();
  expect((await open().open()).certificate).toBe(first.certificate);
  expect(renewals).toEqual(['there was none']);
});

test('it is renewed by itself before its end, with the same key, and not a day earlier', async () => {
  const identity = open();
  const first = await identity.open();
  nowMs += 366 * DAY_MS;
  expect(await identity.look()).toBeNull();
  nowMs += DAY_MS + HOUR_MS;
  const next = await identity.look();
  expect(next?.certificate).not.toBe(first.certificate);
  expect(next?.key).toBe(first.key);
  expect(new X509Certificate(String(next?.certificate)).checkIP('192.0.2.5')).toBe('192.0.2.5');
});

test('a new IPv4 address is reason enough for a new one, an IPv6 address is not', async () => {
  const identity = open();
  const first = await identity.open();
  addresses = [...addresses, '2001:db8::77'];
  nowMs += HOUR_MS;
  expect(await identity.look()).toBeNull();
  addresses = [...addresses, '192.0.2.6'];
  nowMs += HOUR_MS;
  const next = await identity.look();
  expect(sanOf(String(next?.certificate))).toContain('192.0.2.6');
  expect(next?.key).toBe(first.key);
});

test("the operator's own is served as it is, read again when its files change, and refused with the reason where it is none", async () => {
  const own = { certificate: join(directory, 'c.pem'), key: join(directory, 'k.pem') };
  const put = async (name: string) => {
    const made = await makeCertificate({ names: [name], addresses: [] }, now());
    writeFileSync(own.certificate, made.certificate);
    writeFileSync(own.key, made.key);
    return made;
  };
  await expect(open({ own }).open()).rejects.toMatchObject({ code: 'HM_CONFIG', message: expect.stringContaining('c.pem') });
  const first = await put('one.example');
  const identity = open({ own });
  expect((await identity.open()).certificate).toBe(first.certificate);
  nowMs += HOUR_MS;
  expect(await identity.look()).toBeNull();
  const second = await put('two.example');
  nowMs += HOUR_MS;
  expect((await identity.look())?.certificate).toBe(second.certificate);
  writeFileSync(own.key, first.key);
  await expect(open({ own }).open()).rejects.toMatchObject({ code: 'HM_CONFIG', fix: expect.stringContaining('PEM') });
  expect(renewals).toEqual([]);
});

test('bound to one address it names that one, bound to all it names all', () => {
  expect(namesOfHost({ host: '192.0.2.1', port: 1 }).addresses).toEqual(['192.0.2.1']);
  expect(namesOfHost({ host: '0.0.0.0', port: 1 }).addresses).toEqual(expect.arrayContaining(['127.0.0.1', '::1']));
  expect(namesOfHost({ host: '0.0.0.0', port: 1 }).names).toContain('localhost');
});
