import type { Address } from '@honeymesh/intel/address';
import { expect, test } from 'vitest';
import { MAPS } from '#enforcer/kernel/layouts.ts';
import { udpPeerKey, udpPortValue } from '#enforcer/kernel/udp-replies.ts';

test('whom an answer goes to is 16 bytes as in a packet, IPv4 mapped, then the port in host order', () => {
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
  expect([...udpPeerKey('203.0.113.7' as Address, 0x1234)]).toEqual([...mapped, 203, 0, 113, 7, 0x34, 0x12, 0, 0]);
  expect([...udpPeerKey('2001:db8::7' as Address, 53)]).toEqual([0x20, 1, 0x0d, 0xb8, ...Array.from({ length: 11 }, () => 0), 7, 53, 0, 0, 0]);
});

test('the port that was asked is two bytes in host order, and both fit the map', () => {
  expect([...udpPortValue(65_534)]).toEqual([0xfe, 0xff]);
  expect([udpPeerKey('::1' as Address, 1).length, udpPortValue(1).length]).toEqual([MAPS.udp_replies.keySize, MAPS.udp_replies.valueSize]);
});
