/** Names of a join list: first over TCP and for ANY, as memberlist asks (TestMemberlist_ResolveAddr_TCP_First), then as the system resolves. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test as prop } from '@fast-check/vitest';
import { afterEach, describe, expect, test } from 'vitest';
import { askForAny, encodeQuestion, readAnswer } from '#enforcer/mesh/node/dns-any.ts';
import { createLookup } from '#enforcer/mesh/node/resolve.ts';
import { A, AAAA, CNAME, type DnsRecord, type DnsServer, dnsAnswer, framed, startDnsServer } from '#test/support/dns-server.ts';

const servers: DnsServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function serving(answer: Parameters<typeof startDnsServer>[0]): Promise<DnsServer> {
  const server = await startDnsServer(answer);
  servers.push(server);
  return server;
}

function resolvConf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-resolv-'));
  folders.push(folder);
  const path = join(folder, 'resolv.conf');
  writeFileSync(path, text);
  return path;
}

const FROM_SYSTEM = [{ address: '192.0.2.1' }];
const system = async (): Promise<typeof FROM_SYSTEM> => FROM_SYSTEM;
const TIMEOUT_MS = 2000;
const addresses = (found: readonly { readonly address: string }[]): readonly string[] => found.map(({ address }) => address);

describe('a name with a dot', () => {
  const records: readonly DnsRecord[] = [
    CNAME,
    A(127, 0, 0, 1),
    AAAA(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    { type: 16, data: Uint8Array.of(1, 120) },
    A(10, 0, 0, 2),
  ];

  test('is asked of the first server over TCP, for ANY; A and AAAA count, CNAME and the rest do not', async () => {
    const server = await serving(query => dnsAnswer(query, records));
    const path = resolvConf(`# comment\nsearch example\n nameserver 127.0.0.1:${server.port}\nnameserver 203.0.113.1\n`);
    const lookup = createLookup({ resolvConf: path, timeoutMs: TIMEOUT_MS }, system);
    expect(addresses(await lookup('join.service.consul'))).toEqual(['127.0.0.1', '2001:db8::1', '10.0.0.2']);
    expect(server.asked).toEqual([{ name: 'join.service.consul', type: 255 }]);
  });

  test('in 60 KiB of answers has all its addresses, in whatever pieces they come', async () => {
    const many = Array.from({ length: 3500 }, (_, at) => A(10, 1, at >> 8, at & 255));
    const server = await serving(query => dnsAnswer(query, many));
    const answer = await askForAny('many.example', { host: '127.0.0.1', port: server.port }, TIMEOUT_MS);
    expect(answer).toMatchObject({ ok: true, value: { length: 3500 } });
  });

  test.each<[string, Parameters<typeof startDnsServer>[0]]>([
    ['no address', query => dnsAnswer(query, [CNAME])],
    ['a refusal', query => dnsAnswer(query, [])],
    ['an answer to another question', query => dnsAnswer(Buffer.from(query).fill(0xee, 0, 2), records)],
    ['its question sent back', query => framed(query)],
    ['half a message', query => dnsAnswer(query, records).subarray(0, 40)],
    ['more records than there are bytes', query => dnsAnswer(query, records).fill(0xff, 8, 10)],
    ['nothing, and closes', () => null],
    ['a message of no bytes', () => framed(new Uint8Array())],
  ])('whose server says %s goes to the system', async (_, answer) => {
    const server = await serving(answer);
    const lookup = createLookup({ resolvConf: resolvConf(`nameserver 127.0.0.1:${server.port}\n`), timeoutMs: 200 }, system);
    expect(await lookup('mesh.example')).toEqual(FROM_SYSTEM);
    expect(server.asked).toHaveLength(1);
  });

  test('whose server never answers costs its time and no more', async () => {
    const server = await serving(() => undefined);
    const began = performance.now();
    const answer = await askForAny('mesh.example', { host: '127.0.0.1', port: server.port }, 50);
    expect(answer).toEqual({ ok: false, why: 'timeout' });
    expect(performance.now() - began).toBeLessThan(TIMEOUT_MS);
  });

  test.each([
    ['no such file', null],
    ['no server', 'search example\n#nameserver 127.0.0.1\n'],
    ['a server that is no address', 'nameserver dns.example\n'],
    ['a server that nobody is', 'nameserver 127.0.0.1:1\n'],
  ])('goes to the system where there is %s', async (_, text) => {
    const path = text === null ? join(tmpdir(), 'honeymesh-resolv-none') : resolvConf(text);
    expect(await createLookup({ resolvConf: path, timeoutMs: TIMEOUT_MS }, system)('mesh.example')).toEqual(FROM_SYSTEM);
  });
});

test('a name without a dot is asked of the system only', async () => {
  const server = await serving(query => dnsAnswer(query, [A(127, 0, 0, 1)]));
  const lookup = createLookup({ resolvConf: resolvConf(`nameserver 127.0.0.1:${server.port}\n`), timeoutMs: TIMEOUT_MS }, system);
  expect(await lookup('mesh')).toEqual(FROM_SYSTEM);
  expect(server.asked).toEqual([]);
});

test('what fails in the system fails', async () => {
  const failing = async (): Promise<never> => {
    throw new Error('ENOTFOUND');
  };
  await expect(createLookup({ resolvConf: '/nowhere', timeoutMs: TIMEOUT_MS }, failing)('mesh.example')).rejects.toThrow('ENOTFOUND');
});

describe('bytes', () => {
  test.each(['..', 'a..b', '.', 'x'.repeat(64), `${'a.'.repeat(127)}bcd`, 'sp ace.example', 'mü.example'])('%j is no name to ask for', name =>
    expect(encodeQuestion(name, 1)).toBeNull(),
  );

  const query = Buffer.from(encodeQuestion('mesh.example', 7) ?? []).subarray(2);
  const good = dnsAnswer(query, [A(10, 0, 0, 1), AAAA(1, 2, 3, 4, 5, 6, 7, 8)]).subarray(2);

  test('a name that points to itself, or is too long, ends nothing but the reading', () => {
    const loop = Buffer.from(good);
    loop.writeUInt16BE(0xc000 | 12, 12);
    for (const message of [loop, Buffer.concat([good.subarray(0, 12), Buffer.alloc(500, 63)])]) expect(readAnswer(message, 7).ok).toBe(false);
  });

  prop.prop([fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(good.length)])('of any kind never throw', (changes, length) => {
    const message = Buffer.from(good);
    for (const [at, byte] of changes) message[at] = byte;
    const read = readAnswer(message.subarray(0, length), 7);
    if (read.ok) expect(read.value.length).toBeLessThanOrEqual(2);
  });

  prop.prop([fc.uint8Array({ maxLength: 600 })])('of no sense never throw', bytes => {
    readAnswer(bytes, ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0));
  });
});
