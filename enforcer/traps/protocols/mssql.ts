/** Microsoft SQL Server (it runs on Linux too): no encryption on offer, so that the password comes as it is. */
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { credentials, fingerprint, malformed, request } from './observation.ts';
import {
  END_OF_MESSAGE,
  loginFailedPacket,
  parseLogin7,
  parseOldLogin,
  preloginEncryption,
  preloginPacket,
  TDS_HEADER_BYTES,
  TDS_LOGIN7,
  TDS_OLD_LOGIN,
  TDS_PRELOGIN,
  type TdsLogin,
  type TdsVersion,
} from './tds.ts';

/** Cumulative updates of SQL Server 2017 and 2019, the ones that nmap 7.93 tells from a Windows host's. */
const BUILDS: readonly [TdsVersion, ...TdsVersion[]] = [
  { major: 15, minor: 0, build: 4316 },
  { major: 15, minor: 0, build: 4345 },
  { major: 15, minor: 0, build: 4355 },
  { major: 15, minor: 0, build: 4375 },
  { major: 14, minor: 0, build: 3456 },
  { major: 14, minor: 0, build: 3465 },
];
const LONGEST_MESSAGE = 16_384;

export const mssql: TrapProtocol = {
  name: 'mssql',
  ports: [1433],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    if (first[0] !== TDS_PRELOGIN || (first[1] ?? END_OF_MESSAGE) !== END_OF_MESSAGE) return 'no';
    if (first.length < TDS_HEADER_BYTES + 1) return 'maybe';
    return first[TDS_HEADER_BYTES] === 0 ? 'yes' : 'no'; // VERSION is the first option always
  },
};

function createTalk({ persona }: TrapContext): Talk {
  const version = persona.pick('mssql build', BUILDS);
  const serverName = persona.hostName.toUpperCase();

  /** A message may come in many packets; it is answered when the last of them is here. */
  function next(waiting: Buffer): Step {
    const type = waiting[0];
    if (type !== TDS_PRELOGIN && type !== TDS_LOGIN7 && type !== TDS_OLD_LOGIN)
      return { used: waiting.length, observations: [malformed('no TDS log-in')], close: true };
    const parts: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      if (waiting.length < at + TDS_HEADER_BYTES) return MORE;
      const length = waiting.readUInt16BE(at + 2);
      if (waiting[at] !== type || length < TDS_HEADER_BYTES) return { used: waiting.length, observations: [malformed('no TDS packet')], close: true };
      if (waiting.length < at + length) return MORE;
      parts.push(waiting.subarray(at + TDS_HEADER_BYTES, at + length));
      const last = ((waiting[at + 1] ?? 0) & END_OF_MESSAGE) !== 0;
      at += length;
      if (last) return { used: at, ...answer(type, Buffer.concat(parts)) };
    }
  }

  function answer(type: number, body: Uint8Array): Omit<Step, 'used'> {
    if (type === TDS_PRELOGIN) {
      const encryption = preloginEncryption(body);
      const observations = encryption === undefined ? [] : [fingerprint('tds-encryption', String(encryption))];
      return { send: preloginPacket(version), observations };
    }
    const login = type === TDS_LOGIN7 ? parseLogin7(body) : type === TDS_OLD_LOGIN ? parseOldLogin(body) : undefined;
    if (login === undefined || !login.ok)
      return { observations: [malformed(login === undefined ? 'a TDS message before the log-in' : 'a log-in cut short')], close: true };
    return { send: loginFailedPacket(login.value.user, serverName), observations: seen(login.value), close: true };
  }

  return { protocol: 'mssql', longestMessage: LONGEST_MESSAGE, next };
}

function seen(login: TdsLogin): Observation[] {
  const { host, application, server, library } = login;
  const client = request('login', login.database, [
    ['host', host],
    ['application', application],
    ['server', server],
    ['library', library],
  ]);
  return login.integrated ? [client] : [client, credentials(login.user, login.password)];
}
