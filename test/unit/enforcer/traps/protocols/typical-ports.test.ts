import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { createPersona, SEED_BYTES } from '#enforcer/traps/protocols/persona.ts';
import { protocolOf } from '#enforcer/traps/protocols/registry.ts';
import { typicalPorts } from '#enforcer/traps/protocols/typical-ports.ts';
import { UDP_PROTOCOLS } from '#enforcer/traps/protocols/udp/registry.ts';
import { personaOf } from '#test/support/trap-talk.ts';

const anyPersona = fc.uint8Array({ minLength: SEED_BYTES, maxLength: SEED_BYTES }).map(createPersona);
const LOVED = new Set([21, 23, 445, 1080, 1883, 11211, 2375, 3306, 3389, 5432, 5900, 6379, 8080, 9200, 27017]);

test.prop([anyPersona])('a host has 8 to 14 TCP ports and 2 to 4 of UDP, ssh and others that attackers love among them', persona => {
  const { tcp, udp } = typicalPorts(persona);
  expect(tcp.length).toBeGreaterThanOrEqual(8);
  expect(tcp.length).toBeLessThanOrEqual(14);
  expect(udp.length).toBeGreaterThanOrEqual(2);
  expect(udp.length).toBeLessThanOrEqual(4);
  expect(tcp).toContain(22);
  expect(tcp.filter(port => LOVED.has(port)).length).toBeGreaterThanOrEqual(2);
  expect(new Set(tcp).size).toBe(tcp.length);
});

test.prop([anyPersona])('each of them is a protocol that the traps speak, and fits the others', persona => {
  const { tcp, udp } = typicalPorts(persona);
  for (const port of tcp) expect(protocolOf(port), `tcp ${port}`).toBeDefined();
  for (const port of udp)
    expect(
      UDP_PROTOCOLS.some(protocol => protocol.ports.includes(port)),
      `udp ${port}`,
    ).toBe(true);
  expect(udp.includes(137)).toBe(tcp.includes(445)); // Samba's two halves
  if (persona.versions.ntp === null) expect(udp).not.toContain(123);
  if (persona.hostName.startsWith('mail')) expect(tcp).toEqual(expect.arrayContaining([25, 110, 143]));
});

test('they are the same at each start, and not the same on each host', () => {
  expect(typicalPorts(personaOf(3))).toEqual(typicalPorts(personaOf(3)));
  const choices = new Set(Array.from({ length: 40 }, (_, byte) => JSON.stringify(typicalPorts(personaOf(byte)))));
  expect(choices.size).toBeGreaterThan(30);
});
