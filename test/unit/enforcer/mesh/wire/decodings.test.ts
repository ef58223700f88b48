/** What both generations of go-msgpack make of odd encodings, and our reader with them (memberlist-0.7.0-tables.json). */
import { describe, expect, test } from 'vitest';
import { ACK, ALIVE, INDIRECT_PING, PUSH_PULL_HEADER } from '#enforcer/mesh/protocol/wire/bodies.ts';
import { BOUNDS_OF_PACKET } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { Cursor } from '#enforcer/mesh/protocol/wire/msgpack-cursor.ts';
import { Writer } from '#enforcer/mesh/protocol/wire/msgpack-writer.ts';
import { int, structure, text, u32 } from '#enforcer/mesh/protocol/wire/structure.ts';
import { type Decoded, decodings, fromHex, toHex } from '#test/support/memberlist-vectors.ts';

const STRUCTURES = { alive: ALIVE, pushPullHeader: PUSH_PULL_HEADER, indirectPing: INDIRECT_PING, ack: ACK };

/** Go's %+v. */
function printed(values: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(values).map(([name, value]) => {
    if (value === null || value instanceof Uint8Array) return `${name}:[${[...(value ?? [])].join(' ')}]`;
    return `${name}:${typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : value}`;
  });
  return `&{${fields.join(' ')}}`;
}

function read(hex: string, into: Decoded['into']): string {
  const cursor = new Cursor(fromHex(hex), 0, BOUNDS_OF_PACKET);
  const values = STRUCTURES[into].read(cursor);
  return cursor.fault === null ? printed(values) : 'error';
}

test.each(decodings.map(row => [`${row.into}: ${row.what}`, row] as const))('%s', (_, { hex, into, v2, 'v0.5.5': old }) => {
  // What one of the two reads, we read: a peer of that release may have written it.
  expect(read(hex, into)).toBe(old === 'error' ? v2 : old);
  if (old !== 'error' && v2 !== 'error') expect(old).toBe(v2);
});

describe('what is odder still', () => {
  const SHAPE = structure({ A: u32, B: int, T: text(8) });
  const values = (hex: string, bounds = BOUNDS_OF_PACKET): unknown => {
    const cursor = new Cursor(fromHex(hex), 0, bounds);
    const { A, B, T } = SHAPE.read(cursor);
    return cursor.fault ?? cursor.refusal ?? [A, B, T, cursor.at];
  };

  test.each([
    ['an unsigned 64-bit integer from 2^63 wraps in an int', '81a142cf8000000000000000', [0, -(2 ** 63), '', 12]],
    ['a negative 64-bit integer in an int', '81a142d3fffffffffffffffe', [0, -2, '', 12]],
    ['a negative 32-bit integer in an int', '81a142d2ffffff00', [0, -256, '', 8]],
    ['a nil key', '81c0a131', 'malformed'],
    ['the byte that msgpack never uses', '81a158c1', 'malformed'],
    ['a list where a text belongs', '81a1549161', 'malformed'],
    ['a text over its limit', '81a154a9313233343536373839', 'too-long'],
    ['a text over its limit, cut short', '81a154a93132333435363738', 'truncated'],
    ['a map as long as 2^32 - 1', 'dfffffffff', 'too-many'],
    ['an unknown value in eight lists', `81a158${'91'.repeat(7)}01`, [0, 0, '', 11]],
    ['an unknown value in a thousand lists', `81a158${'91'.repeat(1000)}01`, 'too-deep'],
    ['an unknown list as long as 2^32 - 1', '81a158ddffffffff', 'too-many'],
    ['an unknown text as long as 2^32 - 1', '81a158dbffffffff', 'too-long'],
    ['an unknown extension as long as 2^32 - 1', '81a158c9ffffffff', 'too-long'],
    ['an unknown extension, known field behind it', '82a158c8000205aabba14107', [7, 0, '', 12]],
    [
      'every fixed size unknown',
      `89${'a158ca00000000a158cb0000000000000000a158d40100a158d5010000a158d60100000000a158d7010000000000000000'}a158d801${'00'.repeat(16)}a158d3ffffffffffffffffa14105`,
      [5, 0, '', 84],
    ],
    ['a long key that is unknown', `82d9ff${'4b'.repeat(255)}05a14107`, [7, 0, '', 262]],
    ['nothing at all', '', 'truncated'],
  ])('%s', (_, hex, expected) => expect(values(hex)).toEqual(expected));

  test('lists of values are bounded all together', () => {
    const many = `82a158dc0100${'00'.repeat(256)}a14107`;
    expect(values(many)).toEqual([7, 0, '', 265]);
    expect(values(many, { longestRaw: 100, mostValues: 200 })).toBe('too-many');
  });

  test.each([0, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff])('%i is read as it was written', value => {
    const writer = new Writer();
    writer.unsigned(value);
    expect(new Cursor(writer.written(), 0, BOUNDS_OF_PACKET).unsigned(0xffff_ffff)).toBe(value);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 32])('%d is not written: a float or a wrapped number would be', value => {
    expect(() => new Writer().unsigned(value)).toThrow(RangeError);
  });

  test('an omitted zero and a zero that is there read the same', () => {
    expect(values('80')).toEqual([0, 0, '', 1]);
    expect(values('83a14100a142d000a154a0')).toEqual([0, 0, '', 11]);
  });

  test('keys are written sorted, whatever the order of declaration', () => {
    const writer = new Writer();
    structure({ B: u32, A: u32 }).write(writer, { B: 2, A: 1 });
    expect(toHex(writer.written())).toBe('82a14101a14202');
  });
});
