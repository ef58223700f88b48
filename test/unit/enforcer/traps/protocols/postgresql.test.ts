import { describe, expect, test } from 'vitest';
import { bytesOf, u32 } from '#enforcer/traps/protocols/bytes.ts';
import { postgresql } from '#enforcer/traps/protocols/postgresql.ts';
import { converse, personaWith, sentFields, sentHex, sentText } from '#test/support/binary-traps.ts';
import { PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

const SSL_REQUEST = '0000000804d2162f';
/** psql 15, `psql -U postgres`. */
const PSQL_STARTUP = '0000003f000300007573657200706f73746772657300646174616261736500706f737467726573006170706c69636174696f6e5f6e616d65007073716c0000';
const PSQL_PASSWORD = '700000000c7365637265743100';
/** nmap's SMBProgNeg, by which it knows PostgreSQL. */
const NMAP_SMB =
  '000000a4ff534d4272000000000801400000000000000000000000000000400600000100008100025043204e4554574f524b2050524f4752414d20312e3000024d4943524f534f4654204e4554574f' +
  '524b5320312e303300024d4943524f534f4654204e4554574f524b5320332e3000024c414e4d414e312e3000024c4d312e3258303032000253616d626100024e54204c414e4d414e20312e3000024e54204c4d20302e313200';

describe('a log-in', () => {
  test('is asked for in clear text, seen, and refused in the server’s words', () => {
    const talk = converse(postgresql);
    expect(talk.opened.send).toBeUndefined();
    expect(sentText(talk.say(SSL_REQUEST))).toBe('N');
    expect(sentHex(talk.say(PSQL_STARTUP))).toBe('520000000800000003');
    const refused = talk.say(PSQL_PASSWORD);
    expect(refused.close).toBe(true);
    expect(sentFields(refused)).toMatch(
      /^E\|\|\|.SFATAL\|VFATAL\|C28P01\|Mpassword authentication failed for user "postgres"\|Fauth\.c\|L\d+\|Rauth_failed\|\|$/,
    );
    expect(refused.send?.[4]).toBe((refused.send?.length ?? 0) - 1);
    expect(talk.seen).toEqual([
      {
        kind: 'request',
        method: 'startup',
        target: 'postgres',
        headers: [
          ['user', 'postgres'],
          ['database', 'postgres'],
          ['application_name', 'psql'],
        ],
      },
      { kind: 'credentials', user: 'postgres', secret: 'secret1' },
    ]);
  });

  test('goes on inside TLS', () => {
    const talk = converse(postgresql, { tls: true });
    expect(sentText(talk.say(SSL_REQUEST))).toBe('S');
    expect(talk.say(PSQL_CLIENT_HELLO)).toMatchObject({
      startTls: true,
      observations: [{ kind: 'fingerprint', name: 'ja4', value: 't13i310900_e8f1e7e78f70_1f22a2ca17c4' }],
    });
    talk.machine.secured?.(20);
    expect(sentText(talk.say(SSL_REQUEST))).toBe('N');
    talk.say(PSQL_STARTUP);
    talk.say(PSQL_PASSWORD);
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'postgres', secret: 'secret1' });
  });

  test('without a name is refused', () => {
    expect(sentFields(converse(postgresql).say('00000009 00030000 00'))).toContain('C28000|Mno PostgreSQL user name specified in startup packet|');
  });

  test('of protocol 3.2 is told that 3.0 is spoken here', () => {
    const parameters = 'user\0a\0_pq_.x\x001\0\0';
    expect(sentHex(converse(postgresql).say(bytesOf(u32(8 + parameters.length), u32(0x30002), parameters)))).toBe(
      `7600000013 00030000 00000001 ${Buffer.from('_pq_.x\0').toString('hex')} 520000000800000003`.replaceAll(' ', ''),
    );
  });
});

test('an old version is refused with the line of the server’s source: nmap knows the release by it', () => {
  const bullseye = personaWith(({ release }) => release.name.includes('bullseye'));
  const outcome = converse(postgresql, { persona: bullseye }).say(NMAP_SMB);
  expect(outcome.close).toBe(true);
  expect(sentFields(outcome)).toMatch(
    /^E\|\|\|.SFATAL\|VFATAL\|C0A000\|Munsupported frontend protocol 65363\.19778: server supports 2\.0 to 3\.0\|Fpostmaster\.c\|L2133\|RProcessStartupPacket\|\|$/,
  );
});

test('what is no start-up message is closed without a word', () => {
  expect(converse(postgresql).say(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toMatchObject({ close: true, observations: [{ kind: 'malformed' }] });
});

test('a cancellation and GSS are known', () => {
  expect(sentText(converse(postgresql).say('0000000804d21630'))).toBe('N');
  expect(converse(postgresql).say('0000001004d2162e0000000100000002').close).toBe(true);
});

test.each([
  [SSL_REQUEST, 'yes'],
  [PSQL_STARTUP, 'yes'],
  ['00000008', 'maybe'],
  ['47455420', 'no'],
  [NMAP_SMB, 'no'],
])('%s is recognised: %s', (bytes, expected) => {
  expect(postgresql.recognise?.(Buffer.from(bytes, 'hex'))).toBe(expected);
});
