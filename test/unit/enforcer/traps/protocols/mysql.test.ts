import { describe, expect, test } from 'vitest';
import { bytesOf, fromHex } from '#enforcer/traps/protocols/bytes.ts';
import { mysql } from '#enforcer/traps/protocols/mysql.ts';
import { BOOKWORM, converse, personaWith, sentHex, sentText } from '#test/support/binary-traps.ts';
import { PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';

const MYSQL_8 = personaWith(({ software }) => software.mysql === 'mysql');

/** PyMySQL 1.2, `connect(user='root', password='toor', database='mysql')`. */
const PYMYSQL_LOGIN =
  '8d0000010da23a00ffffff002d0000000000000000000000000000000000000000000000726f6f740014b6ba2962585e7be8d8bf51d423c3336e45966eaa6d7973716c006d7973716c5f6e6174' +
  '6976655f70617373776f726400360c5f636c69656e745f6e616d650770796d7973716c0f5f636c69656e745f76657273696f6e05312e322e34045f706964053237313036';
/** The same inside TLS, as MySQL 8 is spoken to. */
const PYMYSQL_TLS_REQUEST = '200000010daa3a00ffffff002d0000000000000000000000000000000000000000000000';
const PYMYSQL_TLS_LOGIN =
  '970000020daa3a00ffffff002d0000000000000000000000000000000000000000000000726f6f740020d69ef81a9c48bd3f6b42a83815434cfbddf4894b967a0a84cd5d7df9225fe01b6d797371' +
  '6c0063616368696e675f736861325f70617373776f726400340c5f636c69656e745f6e616d650770796d7973716c0f5f636c69656e745f76657273696f6e05312e322e34045f70696403343136';
/** What old tools send: HandshakeResponse320. */
const OLD_LOGIN = '11 00 00 01 85 24 00 00 00 6f 6c 64 00 47 44 53 43 51 59 52 5f';

describe('the greeting', () => {
  test('is a HandshakeV10 of the version that the persona has', () => {
    const { send = new Uint8Array() } = converse(mysql).opened;
    expect(send[0]).toBe(send.length - 4);
    expect(Buffer.from(send).toString('latin1').slice(4)).toMatch(/^\n5\.5\.5-10\.11\.6-MariaDB-0\+deb12u1\0/);
    expect(Buffer.from(send.subarray(-22)).toString('latin1')).toBe('mysql_native_password\0');
    expect(converse(mysql, { persona: MYSQL_8 }).opened.send?.subarray(4, 10)).toEqual(bytesOf('\n', MYSQL_8.versions.mysql?.slice(0, 5) ?? ''));
  });

  test('offers TLS only where the driver can speak it', () => {
    const offers = (tls: boolean): number => {
      const send = converse(mysql, { tls }).opened.send ?? new Uint8Array();
      const capabilities = send.indexOf(0, 5) + 1 + 4 + 8 + 1;
      return (send[capabilities + 1] ?? 0) & 0x08;
    };
    expect([offers(true), offers(false)]).toEqual([8, 0]);
  });

  test('has a scramble without zeros and without dollars, whatever was drawn', () => {
    const { send = new Uint8Array() } = converse(mysql, { random: Uint8Array.from({ length: 32 }, (_, at) => at * 8) }).opened;
    const at = send.indexOf(0, 5) + 5;
    const scramble = [...send.subarray(at, at + 8), ...send.subarray(at + 27, at + 39)];
    expect(scramble.every(byte => byte >= 33 && byte < 127 && byte !== 36)).toBe(true);
  });
});

describe('a log-in', () => {
  test('is refused in the server’s words, and all of it is seen', () => {
    const talk = converse(mysql);
    const outcome = talk.say(PYMYSQL_LOGIN);
    expect(outcome.close).toBe(true);
    expect(sentText(outcome).slice(4)).toBe("\xff\x15\x04#28000Access denied for user 'root'@'198.51.100.7' (using password: YES)");
    expect(outcome.send?.[3]).toBe(2);
    expect(talk.seen).toEqual([
      {
        kind: 'request',
        method: 'connect',
        target: 'mysql',
        headers: [
          ['_client_name', 'pymysql'],
          ['_client_version', '1.2.4'],
          ['_pid', '27106'],
        ],
      },
      { kind: 'fingerprint', name: 'mysql-auth-plugin', value: 'mysql_native_password' },
      {
        kind: 'credentials',
        user: 'root',
        secret: expect.stringMatching(/^[0-9a-f]{40}\*b6ba2962585e7be8d8bf51d423c3336e45966eaa$/),
        scheme: 'mysql-native-password',
      },
    ]);
  });

  test('without a password says so', () => {
    const body = bytesOf(fromHex('0da23a00 ffffff00 2d'), new Uint8Array(23), 'root\0', 0, 'mysql\0mysql_native_password\0');
    const outcome = converse(mysql).say(bytesOf(body.length, 0, 0, 1, body));
    expect(sentText(outcome)).toContain('(using password: NO)');
    expect(outcome.observations).toContainEqual({ kind: 'credentials', user: 'root', secret: '' });
  });

  test('of the old protocol is read too', () => {
    const talk = converse(mysql);
    expect(sentText(talk.say(OLD_LOGIN))).toContain("'old'@");
    expect(talk.seen).toContainEqual({ kind: 'credentials', user: 'old', secret: expect.stringMatching(/\*474453435159525f$/), scheme: 'mysql-old-password' });
  });

  test('by another plugin is switched to the server’s own, with the same scramble', () => {
    const talk = converse(mysql);
    const body = bytesOf(fromHex('0da23a00 ffffff00 2d'), new Uint8Array(23), 'root\0', 32, new Uint8Array(32).fill(7), 'mysql\0caching_sha2_password\0');
    const switched = talk.say(bytesOf(body.length, 0, 0, 1, body));
    expect(switched.close).toBe(false);
    expect(sentText(switched).slice(4, 27)).toBe('\xfemysql_native_password\0');
    const refused = talk.say(bytesOf(20, 0, 0, 3, new Uint8Array(20).fill(9)));
    expect(refused.send?.[3]).toBe(4);
    expect(talk.seen.at(-1)).toMatchObject({ kind: 'credentials', user: 'root', secret: expect.stringMatching(/\*(?:09){20}$/) });
  });

  test('inside TLS gives the password itself away', () => {
    const talk = converse(mysql, { persona: MYSQL_8, tls: true });
    expect(talk.say(PYMYSQL_TLS_REQUEST)).toMatchObject({ close: false, observations: [] });
    const upgrade = talk.say(PSQL_CLIENT_HELLO);
    expect(upgrade).toMatchObject({ startTls: true, observations: [{ kind: 'fingerprint', name: 'ja4' }] });
    expect(upgrade.replay).toEqual(Buffer.from(PSQL_CLIENT_HELLO, 'hex'));
    talk.machine.secured?.(20);
    expect(sentHex(talk.say(PYMYSQL_TLS_LOGIN))).toBe('020000030104');
    expect(talk.say('05000004746f6f7200').close).toBe(true);
    expect(talk.seen.at(-1)).toEqual({ kind: 'credentials', user: 'root', secret: 'toor' });
  });

  test('that asks for TLS where there is none is out of order', () => {
    expect(sentText(converse(mysql).say(PYMYSQL_TLS_REQUEST))).toContain('#08S01Got packets out of order');
  });
});

test.each([['474554202f20485454502f312e310d0a'], ['ffffff01'], ['0100000100']])('what is no handshake is refused and closed: %s', bytes => {
  const outcome = converse(mysql, { persona: BOOKWORM }).say(bytes);
  expect(outcome.close).toBe(true);
  expect(sentText(outcome)).toContain('Got packets out of order');
});
