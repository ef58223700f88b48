import { describe, expect, test } from 'vitest';
import {
  authentication,
  datagram,
  EXTENSION,
  ethernet,
  everyTruncation,
  extension,
  internetChecksum,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  ping,
  segment,
  syn,
  tcp,
  toHex,
  toShortest,
  udp,
} from '#test/support/frames/frames.ts';

const FROM = '203.0.113.7';
const TO = '198.51.100.1';

describe('the frame builder', () => {
  test('writes a SYN as a sniffer would show it', () => {
    expect(toHex(syn(FROM, TO, 22))).toBe(
      '020000000002020000000001' +
        '0800' +
        '4500002800014000' +
        '4006d492' +
        'cb007107' +
        'c6336401' +
        '9c40001600000001000000005002faf0' +
        toHex(syn(FROM, TO, 22).slice(50)),
    );
  });

  test.each([
    ['TCP over IPv4', syn(FROM, TO, 22), 34, 4, 6],
    ['UDP over IPv4 with an odd payload', datagram(FROM, TO, 53, 1, Uint8Array.of(1, 2, 3)), 34, 4, 17],
    ['TCP over IPv6', syn('2001:db8::7', '2001:db8::1', 22), 54, 6, 6],
    ['ICMPv6 echo', ping('2001:db8::7', '2001:db8::1'), 54, 6, 58],
  ])('sums %s so that a receiver gets zero', (_, frame, l4, family, protocol) => {
    const [addressAt, length] = family === 4 ? [26, 8] : [22, 32];
    const l4Bytes = frame.slice(l4);
    const pseudo = Uint8Array.from([...frame.slice(addressAt, addressAt + length), 0, protocol, l4Bytes.length >> 8, l4Bytes.length & 255]);
    expect(internetChecksum(pseudo, l4Bytes)).toBe(0);
    if (family === 4) expect(internetChecksum(frame.slice(14, 34))).toBe(0);
  });

  test('sums an ICMP echo without a pseudo-header', () => {
    expect(internetChecksum(ping(FROM, TO).slice(34))).toBe(0);
  });

  test('puts tags outermost first', () => {
    const frame = ethernet(ipv4({ from: FROM, to: TO }, udp({ to: 53 })), { tags: [{ type: 0x88a8, id: 7, priority: 1 }, 5] });
    expect(toHex(frame.slice(12, 24))).toBe('88a820078100' + '00050800' + '4500');
  });

  test('chains extension headers by their next-header bytes', () => {
    const { bytes } = ipv6(
      { from: '::1', to: '::2', extensions: [extension(EXTENSION.hopByHop), extension(EXTENSION.routing, 1), authentication(4)] },
      tcp({ to: 1 }),
    );
    expect([bytes[6], bytes[40], bytes[48], bytes[64]]).toEqual([0, 43, 51, 6]);
    expect(bytes.length).toBe(40 + 8 + 16 + 24 + 20);
  });

  test('fragments cover the segment without a gap and only the last has no more', () => {
    const four = ipv4Fragments({ from: FROM, to: TO }, tcp({ to: 22 }), 8);
    expect(four.map(({ bytes }) => [bytes[6], bytes[7], bytes.length])).toEqual([
      [0x20, 0, 28],
      [0x20, 1, 28],
      [0, 2, 24],
    ]);
    const six = ipv6Fragments({ from: '::1', to: '::2' }, tcp({ to: 22 }), 16);
    expect(six.map(({ bytes }) => [bytes[6], bytes[43], bytes.length])).toEqual([
      [44, 1, 64],
      [44, 16, 52],
    ]);
  });

  test('lengths lie on request', () => {
    const { bytes } = ipv4({ from: FROM, to: TO, totalLength: 21, headerLength: 15, version: 5 }, tcp({ to: 1, dataOffset: 3 }));
    expect([bytes[0], bytes[3], bytes[32]]).toEqual([0x5f, 21, 0x30]);
  });

  test('pads to the shortest frame and cuts at every byte', () => {
    const frame = segment(FROM, TO, 80, 'FPU');
    expect(toShortest(frame).length).toBe(60);
    expect(everyTruncation(frame).map(cut => cut.length)).toEqual(Array.from({ length: 40 }, (_, at) => 14 + at));
    expect(frame[47]).toBe(0x29);
  });
});
