import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { createBannerTrap } from '#enforcer/traps/protocols/banner.ts';

const trap = (port: number, receivedBytes = 1000) => createBannerTrap({ port, hostName: 'mail.example', patienceMs: 3_000, receivedBytes });
const text = (bytes: Uint8Array | undefined): string => (bytes === undefined ? '' : String.fromCharCode(...bytes));

test.each([
  [22, 'ssh', /^SSH-2\.0-OpenSSH_[\w.]+ Debian-[\w+]+\r\n$/],
  [21, 'ftp', /^220 .*\r\n$/],
  [25, 'smtp', /^220 mail\.example ESMTP .*\r\n$/],
  [110, 'pop3', /^\+OK /],
  [143, 'imap', /^\* OK \[CAPABILITY /],
  [5900, 'vnc', /^RFB 003\.008\n$/],
  [31337, 'generic', /^\r\n$/],
])('port %i greets like %s', (port, protocol, greeting) => {
  const machine = trap(port);
  expect(machine.protocol).toBe(protocol);
  expect(text(machine.open(0).send)).toMatch(greeting);
});

test.each([80, 443, 445, 1433, 3389, 5432, 6379, 27017])('on port %i the client speaks first: no greeting gives the trap away', port => {
  expect(trap(port).open(0).send).toBeUndefined();
});

test('the greeting of MySQL is a whole packet of protocol 10', () => {
  const packet = trap(3306).open(0).send ?? new Uint8Array();
  expect((packet[0] ?? 0) | ((packet[1] ?? 0) << 8)).toBe(packet.length - 4);
  expect(packet[4]).toBe(10);
  expect(text(packet)).toContain('mysql_native_password');
});

test('it listens for its patience and not longer, however often something comes', () => {
  const machine = trap(22);
  expect(machine.open(1_000)).toMatchObject({ wakeAtMs: 4_000, close: false });
  expect(machine.receive(Uint8Array.of(1), 3_900)).toMatchObject({ wakeAtMs: 4_000, close: false });
  expect(machine.expire(3_999)).toMatchObject({ wakeAtMs: 4_000, close: false });
  expect(machine.expire(4_000)).toMatchObject({ close: true, observations: [{ kind: 'deadline' }] });
  expect(machine.receive(Uint8Array.of(1), 4_001)).toMatchObject({ close: true });
});

test.prop([fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 })])('it never takes more bytes than it may', chunks => {
  const machine = trap(80);
  machine.open(0);
  let received = 0;
  for (const chunk of chunks) {
    received += chunk.length;
    expect(machine.receive(chunk, 1).close).toBe(received > 1000);
    if (received > 1000) return;
  }
});
