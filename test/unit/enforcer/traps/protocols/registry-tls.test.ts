import { expect, test } from 'vitest';
import { fromHex } from '#enforcer/traps/protocols/bytes.ts';
import { createProtocolTrap, detect } from '#enforcer/traps/protocols/registry.ts';
import { createSmtpTrap } from '#enforcer/traps/protocols/smtp.ts';
import { PSQL_CLIENT_HELLO } from '#test/support/real-client-bytes.ts';
import { contextOf, personaWith, talk } from '#test/support/trap-talk.ts';

const HELLO = fromHex(PSQL_CLIENT_HELLO);
const nginx = personaWith(persona => persona.software.http === 'nginx');

test('on 443 the ClientHello is noted and handed to the driver, and a web server is inside', () => {
  const machine = createProtocolTrap(contextOf(443, { tls: true, persona: nginx }));
  expect(machine.open(0).send).toBeUndefined();
  expect(machine.receive(HELLO.subarray(0, 9), 1)).toMatchObject({ observations: [], close: false });
  const agreed = machine.receive(HELLO.subarray(9), 2);
  expect(agreed).toMatchObject({ startTls: true, close: false, observations: [{ kind: 'fingerprint', name: 'ja4' }] });
  expect(Buffer.from(agreed.replay ?? [])).toEqual(Buffer.from(HELLO));
  expect(agreed.send).toBeUndefined();
  machine.secured?.(3);
  expect(machine.protocol).toBe('https');
  const answer = Buffer.from(machine.receive(Buffer.from('GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n'), 4).send ?? []).toString();
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nServer: nginx/);
});

test('what greets inside TLS greets once TLS stands, and offers no TLS in TLS', () => {
  const machine = createProtocolTrap(contextOf(465, { tls: true }));
  machine.open(0);
  machine.receive(HELLO, 1);
  expect(Buffer.from(machine.secured?.(2).send ?? []).toString()).toMatch(/^220 \S+ ESMTP /);
  expect(machine.protocol).toBe('smtp-tls');
  expect(Buffer.from(machine.receive(Buffer.from('EHLO x\r\n'), 3).send ?? []).toString()).not.toContain('STARTTLS');
});

test('a driver without TLS fails the handshake, with the client noted all the same', () => {
  const { answer, seen, last } = talk(createProtocolTrap, contextOf(443), [HELLO]);
  expect(Buffer.from(answer, 'latin1')).toEqual(Buffer.from([0x15, 3, 3, 0, 2, 2, 40]));
  expect(seen).toMatchObject([{ kind: 'fingerprint', name: 'ja4' }]);
  expect(last.close).toBe(true);
});

test.each([
  [443, /^HTTP\/1\.1 400 Bad Request\r\nServer: nginx/],
  [6443, /^HTTP\/1\.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server\.\n$/],
  [993, /^$/],
])('clear HTTP on port %i is refused as its server does', (port, expected) => {
  const { answer, seen, last } = talk(createProtocolTrap, contextOf(port, { tls: true, persona: nginx }), ['GET / HTTP/1.0\r\n\r\n']);
  expect(answer).toMatch(expected);
  expect(seen).toMatchObject([{ kind: 'malformed' }, { kind: 'payload', content: 'GET / HTTP/1.0\r\n\r\n' }]);
  expect(last.close).toBe(true);
});

test('a ClientHello on a port of no protocol is TLS', () => {
  const found = detect(HELLO);
  expect(found === 'maybe' ? found : found?.name).toBe('tls');
  expect(detect(HELLO.subarray(0, 20))).toBe('maybe');
});

test('STARTTLS hands over the ClientHello, and forgets who said hello in clear', () => {
  const machine = createSmtpTrap(contextOf(25, { tls: true }));
  machine.open(0);
  expect(Buffer.from(machine.receive(Buffer.from('EHLO x\r\nSTARTTLS\r\n'), 1).send ?? []).toString()).toContain('250-STARTTLS\r\n');
  expect(machine.receive(HELLO, 2)).toMatchObject({ startTls: true });
  machine.secured?.(3);
  expect(Buffer.from(machine.receive(Buffer.from('AUTH PLAIN AHUAcA==\r\n'), 4).send ?? []).toString()).toMatch(/^503 /);
  expect(Buffer.from(machine.receive(Buffer.from('EHLO x\r\n'), 5).send ?? []).toString()).not.toContain('STARTTLS');
});
