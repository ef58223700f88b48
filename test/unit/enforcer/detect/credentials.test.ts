/** What counts as a guess of a password, and which pairs are known from factories and botnets. */
import { describe, expect, test } from 'vitest';
import { judgeObservation } from '#enforcer/detect/judge.ts';
import { at } from '#test/support/detect-corpus.ts';

const GUESS = ['password-guess'];
const DEFAULT = ['password-guess', 'default-credentials'];
const NOTHING: readonly string[] = [];

const cases: readonly (readonly [protocol: string, user: string, secret: string, scheme: string | undefined, rules: readonly string[]])[] = [
  ['ssh', 'root', 'correct horse battery', undefined, GUESS],
  ['telnet', 'root', 'xc3511', undefined, DEFAULT],
  ['telnet', 'root', 'vizxv', undefined, DEFAULT],
  ['telnet', 'root', '', undefined, DEFAULT],
  ['telnet', 'admin', '', undefined, DEFAULT],
  ['telnet', 'support', 'support', undefined, DEFAULT],
  ['telnet', '666666', '666666', undefined, DEFAULT],
  ['telnet', 'root', 'XC3511', undefined, GUESS],
  ['ssh', 'pi', 'raspberry', undefined, DEFAULT],
  ['http', 'admin', 'admin', undefined, DEFAULT],
  ['http', 'tomcat', 's3cret', undefined, DEFAULT],
  ['http', 'admin', '5f2b3c', 'digest', GUESS],
  ['http', '', '', undefined, NOTHING],
  ['http', '', 'eyJhbGciOiJIUzI1NiJ9.e30.x', 'bearer', NOTHING],
  ['kubernetes-tls', '', 'eyJhbGciOiJIUzI1NiJ9.e30.x', 'bearer', NOTHING],
  ['http', '', 'TlRMTVNTUAABAAAA', 'ntlm', NOTHING],
  ['mysql', 'root', '', undefined, DEFAULT],
  ['mysql', 'root', '00ff*aabb', 'mysql-native-password', GUESS],
  ['mysql', 'haproxy', '', undefined, NOTHING],
  ['postgresql', 'postgres', 'postgres', undefined, DEFAULT],
  ['mssql', 'sa', '', undefined, DEFAULT],
  ['redis', 'default', 'foobared', undefined, DEFAULT],
  ['smtp', 'info@example.org', 'summer2024', undefined, GUESS],
  ['sip', '100', '100', undefined, DEFAULT],
  ['sip', '100', 'a*b*c*d', 'sip-digest', GUESS],
  ['vnc', '', '00*11', 'vnc-des-challenge', GUESS],
  ['smb', 'WORKGROUP\\Administrator', '00*11', 'ntlmv2', GUESS],
  ['rdp', 'administrator', '', undefined, NOTHING],
  ['rdp', 'Administrator', 'P@ssw0rd', undefined, DEFAULT],
  ['snmp', '', 'public', undefined, DEFAULT],
  ['snmp', '', 'private', undefined, DEFAULT],
  ['snmp', '', 'k33p-0ut', undefined, NOTHING],
  ['ftp', 'anonymous', 'mozilla@example.com', undefined, NOTHING],
  ['ftp', 'ftp', '', undefined, NOTHING],
  ['ftp', 'ANONYMOUS', 'guest', undefined, NOTHING],
  ['ftp', 'anonymous', 'hunter2', undefined, GUESS],
  ['ftp', 'admin', 'x@example.com', undefined, GUESS],
  ['telnet', 'anonymous', 'x@example.com', undefined, GUESS],
  ['socks', 'alice', '', 'ident', NOTHING],
  ['mqtt', 'constructor', '__proto__', undefined, GUESS],
];

test.each(cases)('%s: %s with %s (%s): %j', (protocol, user, secret, scheme, rules) => {
  const findings = judgeObservation({ kind: 'credentials', user, secret, ...(scheme === undefined ? {} : { scheme }) }, at(protocol, 1));
  expect(findings.map(({ rule }) => rule)).toEqual(rules);
});

describe('what is quoted', () => {
  test('is the user; a secret that may be a real one stays in the receipt, where it can be masked', () => {
    const findings = judgeObservation({ kind: 'credentials', user: 'alice', secret: 'her real one' }, at('ssh', 22));
    expect(JSON.stringify(findings)).not.toContain('her real one');
    expect(findings[0]?.quote).toBe('alice');
  });

  test('is the pair where it is in everybody’s list', () => {
    const findings = judgeObservation({ kind: 'credentials', user: 'root', secret: 'xc3511' }, at('telnet', 23));
    expect(findings[1]?.quote).toBe('root:xc3511');
  });
});
