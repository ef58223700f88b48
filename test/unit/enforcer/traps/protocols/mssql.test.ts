import { describe, expect, test } from 'vitest';
import { bytesOf, fromHex, u16 } from '#enforcer/traps/protocols/bytes.ts';
import { mssql } from '#enforcer/traps/protocols/mssql.ts';
import { preloginEncryption } from '#enforcer/traps/protocols/tds.ts';
import { BOOKWORM, converse, sentHex, sentText } from '#test/support/binary-traps.ts';

/** python-tds, `connect(user='sa', password='P@ssw0rd1')`. */
const PYTDS_PRELOGIN = '1201003a0000000000001a00060100200001020021000c03002d00040400310001ff010000000000024d5353514c536572766572000000000000';
const PYTDS_LOGIN =
  '100100ce00000100c6000000040000740010000000000001e269000000000000f002000800000000090400005e00020062000200660009007800050082000a000000000096001200ba000000ba00' +
  '060002fc0000000100000000c6000000c60000000000000076006d0073006100a0a5a1a592a592a5d2a5a6a582a5e3a5b6a5700079007400640073003100320037002e0030002e0030002e003700' +
  '370050007900740068006f006e00200054004400530020004c006900620072006100720079006d0061007300740065007200';
/** nmap's ms-sql-s probe. */
const NMAP_PRELOGIN = '1201003400000000000015000601001b000102001c000c0300280004ff080001550000004d5353514c53657276657200480f0000';

describe('a log-in', () => {
  test('comes in clear, because no encryption is on offer', () => {
    const talk = converse(mssql);
    const prelogin = talk.say(PYTDS_PRELOGIN);
    expect(prelogin.send?.length).toBe(0x25);
    expect(prelogin.send?.[8 + 27]).toBe(2);
    const refused = talk.say(PYTDS_LOGIN);
    expect(refused.close).toBe(true);
    expect(sentText(refused).replaceAll('\0', '')).toContain(
      `Login failed for user 'sa'.${String.fromCharCode(BOOKWORM.hostName.length)}${BOOKWORM.hostName.toUpperCase()}`,
    );
    expect(talk.seen).toEqual([
      { kind: 'fingerprint', name: 'tds-encryption', value: '2' },
      {
        kind: 'request',
        method: 'login',
        target: 'master',
        headers: [
          ['host', 'vm'],
          ['application', 'pytds'],
          ['server', '127.0.0.77'],
          ['library', 'Python TDS Library'],
        ],
      },
      { kind: 'credentials', user: 'sa', secret: 'P@ssw0rd1' },
    ]);
  });

  test('may come in many packets', () => {
    const body = fromHex(PYTDS_LOGIN).subarray(8);
    const talk = converse(mssql);
    for (let at = 0; at < body.length; at += 50) {
      const part = body.subarray(at, at + 50);
      const last = at + 50 >= body.length;
      expect(talk.say(bytesOf(0x10, last ? 1 : 0, u16(8 + part.length), [0, 0, 1, 0], part)).close).toBe(last);
    }
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'sa', secret: 'P@ssw0rd1' });
  });

  test('of TDS 4.2, as hydra sends it, is read', () => {
    const field = (text: string): Uint8Array => bytesOf(text.padEnd(30, '\0'), text.length);
    const body = bytesOf(field('host'), field('sa'), field('hunter2'), new Uint8Array(500));
    const talk = converse(mssql);
    expect(talk.say(bytesOf(2, 1, u16(8 + body.length), [0, 0, 1, 0], body)).close).toBe(true);
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'sa', secret: 'hunter2' });
  });

  test('of Windows is seen without a password', () => {
    const login = fromHex(PYTDS_LOGIN);
    login[8 + 36 + 9 * 4 + 6 + 2] = 4; // the length of an SSPI token
    const talk = converse(mssql);
    talk.say(login);
    expect(talk.seen.map(seen => seen.kind)).toEqual(['request']);
  });
});

test('nmap reads version and build from the answer to its probe', () => {
  // 14.0 or 15.0, and a build without a line feed, which ends nmap's expression
  expect(sentHex(converse(mssql).say(NMAP_PRELOGIN))).toMatch(/^0401002500000100000015000601001b000102001c000103001d0000ff0[ef]00(?!0a|..0a)/);
});

test.each([['474554202f20485454'], ['1201000400000000'], ['0101000900000000 00'], ['10010009 00000000 00']])('what is no log-in is closed: %s', bytes => {
  expect(converse(mssql).say(bytes)).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});

test('options that point outside or never end offer no encryption', () => {
  expect(preloginEncryption(fromHex('01 ffff 0001 ff'))).toBeUndefined();
  expect(preloginEncryption(new Uint8Array(400))).toBeUndefined();
  expect(preloginEncryption(new Uint8Array(0))).toBeUndefined();
});
