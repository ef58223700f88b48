/** What all machines of binary protocols keep to. */
import { describe, expect, test } from 'vitest';
import { BINARY_PROTOCOLS } from '#enforcer/traps/protocols/registry-binary.ts';
import { converse, trapContext } from '#test/support/binary-traps.ts';

/** The beginning of a message of each, never finished. */
const UNFINISHED: Readonly<Record<string, string>> = {
  mysql: 'ff000001',
  postgresql: '00000100',
  mssql: '1200ffff',
  mongodb: '00040000',
  smb: '00000400',
  rdp: '03000400',
  vnc: '524642',
  ldap: '30820400',
};

describe.each(BINARY_PROTOCOLS.map(protocol => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  test('a byte each 2.9 s prolongs nothing', () => {
    const { machine, opened, say } = converse(protocol);
    expect(opened.wakeAtMs).toBe(3_000);
    const start = Buffer.from(UNFINISHED[name] ?? '', 'hex');
    expect(say(start, 100)).toMatchObject({ wakeAtMs: 3_000, close: false, observations: [] });
    expect(say('00', 2_900)).toMatchObject({ wakeAtMs: 3_000, close: false });
    expect(machine.expire(2_999).close).toBe(false);
    expect(machine.expire(3_000)).toEqual({ observations: [{ kind: 'deadline' }], wakeAtMs: 'never', close: true });
  });

  test('an unfinished message is not kept without end', () => {
    const { say } = converse(protocol);
    let outcome = say(Buffer.from(UNFINISHED[name] ?? '', 'hex'), 1);
    for (let sent = 0; sent < 70_000 && !outcome.close; sent += 1_000) outcome = say(new Uint8Array(1_000), 2);
    expect(outcome.close).toBe(true);
  });

  test('two connections with the same bytes get the same answers: nothing is drawn but from the context', () => {
    const first = protocol.create(trapContext());
    const second = protocol.create(trapContext());
    expect(first.open(0)).toEqual(second.open(0));
    const bytes = Buffer.from('0'.repeat(64), 'latin1');
    expect(first.receive(bytes, 1)).toEqual(second.receive(bytes, 1));
  });

  test('recognises nothing in noise', () => {
    for (const noise of ['GET / HTTP/1.1\r\n\r\n', 'SSH-2.0-x\r\n', '\x16\x03\x01\x02\x00\x01', 'USER a\r\n', '*1\r\n$4\r\nPING\r\n']) {
      expect(protocol.recognise?.(Buffer.from(noise, 'latin1')) ?? 'no').toBe('no');
    }
  });
});

test('ports are given once', () => {
  const ports = BINARY_PROTOCOLS.flatMap(protocol => protocol.ports);
  expect(new Set(ports).size).toBe(ports.length);
});
