import { describe, expect, test } from 'vitest';
import { bytesOf, toUtf16le, u16, u16le, u32le } from '#enforcer/traps/protocols/bytes.ts';
import { rdp } from '#enforcer/traps/protocols/rdp.ts';
import { converse, sentHex } from '#test/support/binary-traps.ts';
import { PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

/** nmap's TerminalServerCookie and TerminalServer. */
const WITH_COOKIE = '0300002a25e00000000000436f6f6b69653a206d737473686173683d6e6d61700d0a0100080003000000';
const WITHOUT_NEGOTIATION = '0300000b06e00000000000';

const tpkt = (...parts: Parameters<typeof body>): Uint8Array => {
  const content = body(...parts);
  return bytesOf(3, 0, u16(4 + content.length), content);
};
const body = (...parts: (string | Uint8Array | number[])[]): Uint8Array => bytesOf([2, 0xf0, 0x80], ...parts);

/** The client's blocks of [MS-RDPBCGR] 4.1.3: core data and three channels, behind GCC's key. */
function connectInitial(): Uint8Array {
  const core = bytesOf(
    u32le(0x0008_0004),
    u16le(1280),
    u16le(1024),
    u16le(0xca01),
    u16le(0xaa03),
    u32le(0x409),
    u32le(3790),
    toUtf16le('ELTONS-DEV2'.padEnd(16, '\0')),
    new Uint8Array(150),
  );
  const channels = bytesOf(u32le(3), ...['rdpdr', 'cliprdr', 'rdpsnd'].map(name => bytesOf(name.padEnd(8, '\0'), u32le(0x8080_0000))));
  const block = (type: number, content: Uint8Array): Uint8Array => bytesOf(u16le(type), u16le(4 + content.length), content);
  const blocks = bytesOf(block(0xc001, core), block(0xc003, channels));
  return tpkt([0x7f, 0x65, 0x82, 1, 0x94], 'Duca', [0x80 | (blocks.length >> 8), blocks.length & 0xff], blocks);
}

function clientInfo(domain: string, user: string, password: string): Uint8Array {
  const texts = [domain, user, password, '', ''].map(text => toUtf16le(text));
  const info = bytesOf(u32le(0x409), u32le(0x33), ...texts.map(text => u16le(text.length)), ...texts.map(text => bytesOf(text, [0, 0])));
  const content = bytesOf(u16le(0x40), u16le(0), info);
  return tpkt([0x64], [0, 6, 3, 0xeb, 0x70], [0x80 | (content.length >> 8), content.length & 0xff], content);
}

describe('a connection request', () => {
  test('names the user in its cookie; xrdp without TLS confirms its own protocol', () => {
    const talk = converse(rdp);
    expect(sentHex(talk.say(WITH_COOKIE))).toBe('030000130ed00000000000' + '0201080000000000');
    expect(talk.seen).toEqual([
      { kind: 'request', method: 'connect', target: 'nmap', headers: [] },
      { kind: 'fingerprint', name: 'rdp-protocols', value: '3' },
    ]);
  });

  test('without negotiation is confirmed without one: nmap knows xrdp by it', () => {
    expect(sentHex(converse(rdp).say(WITHOUT_NEGOTIATION))).toBe('0300000b06d00000000000');
  });

  test('goes into TLS where both sides can', () => {
    const talk = converse(rdp, { tls: true });
    expect(sentHex(talk.say(WITH_COOKIE))).toMatch(/0201080001000000$/);
    expect(talk.say(PSQL_CLIENT_HELLO)).toMatchObject({ startTls: true });
    talk.machine.secured?.(20);
    expect(talk.say(connectInitial()).send).toBeDefined();
  });
});

test('a client that offers no TLS is not pushed into it', () => {
  const talk = converse(rdp, { tls: true });
  expect(sentHex(talk.say('0300001306e000000000000100080000000000'))).toMatch(/0201080000000000$/);
  expect(talk.say(connectInitial()).send).toBeDefined();
});

test('a client gets as far as its log-in, which comes in clear', () => {
  const talk = converse(rdp);
  talk.say(WITH_COOKIE);
  const connected = talk.say(connectInitial());
  expect(sentHex(connected)).toMatch(/^030000..02f0807f66/);
  expect(connected.send?.length).toBe(connected.send?.[3]);
  expect(Buffer.from(connected.send ?? []).includes('McDn')).toBe(true);
  expect(sentHex(talk.say('0300000c02f0800401000100'))).toBe('');
  expect(sentHex(talk.say('0300000802f08028'))).toBe('0300000b02f0802e000006');
  expect(sentHex(talk.say('0300000c02f08038000603ef'))).toBe('0300000f02f0803e00000603ef03ef');
  const last = talk.say(clientInfo('CORP', 'eltons', 'hunter2'));
  expect(sentHex(last)).toBe('0300000902f0802180');
  expect(last.close).toBe(true);
  expect(talk.seen.slice(2)).toEqual([
    { kind: 'fingerprint', name: 'rdp-client', value: 'ELTONS-DEV2 build 3790 channels rdpdr,cliprdr,rdpsnd' },
    { kind: 'credentials', user: 'CORP\\eltons', secret: 'hunter2' },
  ]);
});

test.each([['474554202f'], ['0300000500'], ['0300000b06f00000000000'], ['0300ffff']])('what is no connection request is closed: %s', bytes => {
  expect(converse(rdp).say(bytes)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});

test('a log-in cut short is no log-in', () => {
  const talk = converse(rdp);
  talk.say(WITHOUT_NEGOTIATION);
  const short = clientInfo('CORP', 'eltons', 'hunter2').slice(0, 60);
  short[3] = 60;
  expect(talk.say(short)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});
