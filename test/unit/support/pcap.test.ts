import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { concat, datagram, fromHex, ping, syn, toHex } from '#test/support/frames/frames.ts';
import { LINK_TYPE, readCapture } from '#test/support/pcap.ts';
import { writePcap, writePcapng } from '#test/support/pcap-writer.ts';

const FRAMES = [syn('203.0.113.7', '198.51.100.1', 22), ping('2001:db8::7', '2001:db8::1'), datagram('203.0.113.7', '198.51.100.1', 53, 9, Uint8Array.of(1))];
const hexes = (bytes: Uint8Array): string[] => readCapture(bytes).frames.map(({ frame }) => toHex(frame));
const times = (bytes: Uint8Array): bigint[] => readCapture(bytes).frames.map(({ atNs }) => atNs);

describe('captures', () => {
  test.each([true, false])('of classic pcap are read, little-endian: %s', little => {
    for (const nanoseconds of [true, false]) {
      const bytes = writePcap(FRAMES, { little, nanoseconds });
      expect([hexes(bytes), readCapture(bytes).problem]).toEqual([FRAMES.map(toHex), null]);
      expect(times(bytes)[2]).toBe(2_000_000_000n + (nanoseconds ? 2n : 2_000n));
    }
  });

  test.each([true, false])('of pcapng are read, little-endian: %s', little => {
    expect(hexes(writePcapng(FRAMES, { little }))).toEqual(FRAMES.map(toHex));
    expect(hexes(writePcapng(FRAMES, { little, simple: true }))).toEqual(FRAMES.map(toHex));
    expect([undefined, 9, 0x80 | 1].map(resolution => times(writePcapng(FRAMES, { little, ...(resolution === undefined ? {} : { resolution }) }))[2])).toEqual([
      2_000n,
      2n,
      1_000_000_000n,
    ]);
  });

  test('of sections in both byte orders, one behind the other', () => {
    expect(hexes(concat(writePcapng(FRAMES, { little: false }), writePcapng(FRAMES)))).toEqual([...FRAMES, ...FRAMES].map(toHex));
  });

  test('of raw IP and Linux cooked captures become Ethernet', () => {
    const packets = FRAMES.map(frame => frame.slice(14));
    const bodies = FRAMES.map(frame => toHex(frame.slice(12)));
    const ofType = (linkType: number, all: readonly Uint8Array[]): string[] => hexes(writePcap(all, { linkType })).map(hex => hex.slice(24));
    expect(ofType(LINK_TYPE.raw, packets)).toEqual(bodies);
    expect(
      ofType(
        LINK_TYPE.sll,
        FRAMES.map(frame => concat(new Uint8Array(14), frame.slice(12))),
      ),
    ).toEqual(bodies);
    expect(
      ofType(
        LINK_TYPE.sll2,
        FRAMES.map((frame, at) => concat(frame.slice(12, 14), new Uint8Array(18), packets[at] ?? frame)),
      ),
    ).toEqual(bodies);
  });

  test('of other link types are counted as skipped', () => {
    expect(readCapture(writePcap(FRAMES, { linkType: 127 }))).toEqual({ frames: [], skipped: 3, problem: null });
  });

  test.each([
    ['nothing', new Uint8Array(0), 0, 'shorter than any magic number'],
    ['text', Buffer.from('not a capture at all, but long enough'), 0, 'neither pcap nor pcapng'],
    ['a cut file header', writePcap([]).slice(0, 20), 0, 'the file header is cut short'],
    ['a cut record', writePcap(FRAMES).slice(0, -1), 2, /^record cut short/],
    ['a record header cut short', concat(writePcap(FRAMES), new Uint8Array(15)), 3, /^record header cut short/],
    ['an absurd length', concat(writePcap(FRAMES), fromHex('0000000000000000ffffffffffffffff')), 3, /^a record of 4294967295 bytes/],
    ['a cut block', writePcapng(FRAMES).slice(0, -4), 2, /^a block of/],
    ['two lengths that differ', concat(writePcapng(FRAMES), fromHex('06000000' + '0c000000' + '10000000')), 3, /^the two lengths/],
    ['a block of length 0', concat(writePcapng(FRAMES), fromHex('06000000' + '00000000' + '00000000')), 3, /^a block of 0 bytes/],
    ['a packet before any interface', concat(writePcapng([]).slice(0, 28), writePcapng(FRAMES).slice(48)), 0, /^a packet of interface 0/],
  ])('that are malformed end with a reason: %s', (_, bytes, count, problem) => {
    const capture = readCapture(bytes);
    expect(capture.frames.length).toBe(count);
    expect(capture.problem).toMatch(problem);
  });

  test.prop([fc.boolean(), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }), fc.nat(400)])(
    'damaged anywhere are read without a throw',
    (ng, damage, length) => {
      const bytes = (ng ? writePcapng(FRAMES) : writePcap(FRAMES)).slice();
      for (const [at, byte] of damage) if (at < bytes.length) bytes[at] = byte;
      expect(readCapture(bytes.slice(0, length)).frames.length).toBeLessThan(40);
    },
  );
});
