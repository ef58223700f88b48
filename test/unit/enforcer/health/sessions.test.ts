import { fc, test } from '@fast-check/vitest';
import type { Address } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createSessionWatch } from '#enforcer/health/sessions.ts';
import {
  type LoginRecord,
  parseLogindSession,
  parseSshConnection,
  parseSshdTitle,
  parseUtmp,
  socketInode,
  UTMP_ARM64,
  UTMP_X64,
  type UtmpLayout,
} from '#enforcer/health/sessions-records.ts';

function utmpRecord(layout: UtmpLayout, { type = 7, pid = 4242, line = 'pts/0', user = 'ada', host = '', address = [] as number[] }): Uint8Array {
  const record = new Uint8Array(layout.size);
  const view = new DataView(record.buffer);
  view.setInt16(0, type, true);
  view.setInt32(4, pid, true);
  const put = (at: number, text: string): void =>
    record.set(
      Uint8Array.from(text, character => character.charCodeAt(0)),
      at,
    );
  put(8, line);
  put(44, user);
  put(76, host);
  record.set(address, layout.addressAt);
  return record;
}

describe('utmp', () => {
  test.each([
    ['x86-64', UTMP_X64],
    ['arm64', UTMP_ARM64],
  ] as const)('remote logins are read in the layout of %s', (_, layout) => {
    const bytes = Buffer.concat([
      utmpRecord(layout, { type: 2, address: [203, 0, 113, 1] }),
      utmpRecord(layout, { address: [203, 0, 113, 7], host: 'client.example' }),
      utmpRecord(layout, { host: '2001:db8::7', line: 'pts/1' }),
      utmpRecord(layout, { host: 'tmux(12).%0' }),
      utmpRecord(layout, { address: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9] }),
    ]);
    expect(parseUtmp(bytes, layout).map(record => [record.user, record.line, record.from])).toEqual([
      ['ada', 'pts/0', '203.0.113.7'],
      ['ada', 'pts/1', '2001:db8::7'],
      ['ada', 'pts/0', '2001:db8::9'],
    ]);
  });

  test.prop([fc.uint8Array({ maxLength: 2000 })])('no bytes make it throw', bytes => {
    parseUtmp(bytes, UTMP_X64);
  });
});

test.each([
  ['sshd: ada@pts/0', { user: 'ada', line: 'pts/0' }],
  ['sshd: root@notty\0\0\0', { user: 'root', line: 'notty' }],
  ['sshd-session: ada@pts/0,pts/1', { user: 'ada', line: 'pts/0,pts/1' }],
  ['sshd: ada@corp.example@pts/3', { user: 'ada@corp.example', line: 'pts/3' }],
])('%s has logged in', (title, session) => {
  expect(parseSshdTitle(title)).toEqual(session);
});

test.each([
  'sshd: [accepted]',
  'sshd: [net]',
  'sshd: root [priv]',
  'sshd: root [net]',
  'sshd: unknown [preauth]',
  'sshd: ada@corp.example [priv]',
  'sshd: /usr/sbin/sshd -D [listener] 1 of 10-100 startups',
  'bash',
])('%s has not logged in: connecting alone must not be a free pass', title => {
  expect(parseSshdTitle(title)).toBeUndefined();
});

test('a remote session of logind counts until it closes', () => {
  const file = (state: string): string => `UID=1000\nUSER=ada\nSTATE=${state}\nREMOTE=1\nREMOTE_HOST=203.0.113.7\nTTY=pts/0\nLEADER=812\n`;
  expect(parseLogindSession(file('active'))).toEqual({ user: 'ada', line: 'pts/0', pid: 812, from: '203.0.113.7' });
  expect(parseLogindSession(file('closing'))).toBeUndefined();
  expect(parseLogindSession('REMOTE=0\nSTATE=active\nREMOTE_HOST=203.0.113.7\n')).toBeUndefined();
});

test('SSH_CONNECTION names the client, or nothing', () => {
  expect(parseSshConnection('203.0.113.7 50514 192.0.2.2 22')).toBe('203.0.113.7');
  expect(parseSshConnection('fe80::1%eth0 50514 fe80::2%eth0 22')).toBe('fe80::1');
  for (const wrong of ['', '203.0.113.7', 'host 1 host 22', '203.0.113.7 50514 192.0.2.2 22 more']) expect(parseSshConnection(wrong)).toBeUndefined();
});

test('a socket link tells its inode', () => {
  expect(socketInode('socket:[123]')).toBe(123);
  expect(socketInode('/dev/null')).toBeUndefined();
});

describe('the watch over sessions', () => {
  const login = (from: string): LoginRecord => ({ user: 'ada', line: 'pts/0', pid: 1, from: from as Address });
  function watch(sshConnection: string | null = null) {
    const state = { logins: [] as LoginRecord[], sshd: [] as LoginRecord[], terminal: true };
    const made = createSessionWatch({ sshConnection, terminalLives: () => state.terminal }, { logins: () => state.logins, sshd: () => state.sshd });
    return { state, at: (now: number) => made.current(unixMs(now)) };
  }

  test('a session is allowed while it lasts, and since is when it was seen first', () => {
    const { state, at } = watch();
    expect(at(1)).toEqual([]);
    state.logins = [login('203.0.113.7')];
    expect(at(2)).toEqual([{ target: '203.0.113.7/32', cause: 'session', why: 'ada is logged in from there (pts/0)', since: 2 }]);
    expect(at(3)[0]?.since).toBe(2);
    state.logins = [];
    expect(at(4)).toEqual([]);
    state.logins = [login('203.0.113.7')];
    expect(at(5)[0]?.since).toBe(5);
  });

  test('the session that started us is allowed until its record ends', () => {
    const { state, at } = watch('203.0.113.7 50514 192.0.2.2 22');
    expect(at(1).map(entry => entry.target)).toEqual(['203.0.113.7/32']);
    state.sshd = [login('203.0.113.7')];
    expect(at(2)).toHaveLength(1);
    state.sshd = [];
    expect(at(3)).toEqual([]);
    expect(at(4)).toEqual([]);
  });

  test('without any record it is allowed as long as the terminal that started us is there', () => {
    const { state, at } = watch('203.0.113.7 50514 192.0.2.2 22');
    expect(at(1)).toHaveLength(1);
    state.terminal = false;
    expect(at(2)).toEqual([]);
    state.terminal = true;
    expect(at(3)).toEqual([]);
  });

  test('loopback needs no allowing', () => {
    const { state, at } = watch('::1 50514 ::1 22');
    state.logins = [login('127.0.0.1')];
    expect(at(1)).toEqual([]);
  });
});
