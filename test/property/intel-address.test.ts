import { fc, test } from '@fast-check/vitest';
import {
  type Address,
  addressBytes,
  addressFromBytes,
  bitsOf,
  contains,
  familyOf,
  hostPrefix,
  networkOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
  widen,
} from '@honeymesh/intel/address';
import { createPrefixTable } from '@honeymesh/intel/prefix-table';
import ipaddr from 'ipaddr.js';
import { describe, expect } from 'vitest';

type Parsed = ipaddr.IPv4 | ipaddr.IPv6;

/** ipaddr.js as the oracle, with what we refuse on purpose refused: zone ids and legacy IPv4 (leading zeros, hex, fewer parts). */
function oracle(text: string): Parsed | undefined {
  if (text.includes('%')) return undefined;
  const dotted = /(^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[2];
  if (text.includes('.') && (dotted === undefined || !ipaddr.IPv4.isValidFourPartDecimal(dotted))) return undefined;
  if (!text.includes(':')) return dotted === undefined ? undefined : ipaddr.IPv4.parse(text);
  // ipaddr.js reads ::1.2.3.4 as ::ffff:1.2.3.4, which RFC 4291 (2.5.5) does not say: it gets the dotted tail as two groups.
  const [high, low] = ipaddr.IPv4.isValid(dotted ?? '') ? pairs(ipaddr.IPv4.parse(dotted ?? '').octets) : ['', ''];
  const plain = dotted === undefined ? text : `${text.slice(0, -dotted.length)}${high}:${low}`;
  if (!ipaddr.IPv6.isValid(plain)) return undefined;
  const address = ipaddr.IPv6.parse(plain);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

const pairs = (octets: number[]): string[] => [0, 2].map(at => (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));

/** RFC 5952 text, which for IPv6 ipaddr.js gives by `toRFC5952String`. */
const canonical = (address: Parsed): string => (address.kind() === 'ipv4' ? address.toString() : (address as ipaddr.IPv6).toRFC5952String());

const sixteen = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 }).map(bytes => Uint8Array.from(bytes)),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map(quad => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...quad])),
);
const address: fc.Arbitrary<Address> = sixteen.map(addressFromBytes);
const prefix: fc.Arbitrary<Prefix> = fc.tuple(address, fc.nat(128)).map(([at, bits]) => prefixOf(at, familyOf(at) === 4 ? bits % 33 : bits));
const group = fc.oneof(
  fc.constant('0'),
  fc.nat(0xffff).map(value => value.toString(16)),
  fc.constantFrom('', '00', '00000', 'FFFF', 'g', '1.2.3.4', '01'),
);
const nearlyAddress = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  fc.array(group, { minLength: 1, maxLength: 9 }).map(groups => groups.join(':')),
  fc.array(fc.constantFrom('0', '1', '9', '255', '256', '01', '', 'a'), { minLength: 1, maxLength: 5 }).map(parts => parts.join('.')),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefF:.%/ '), maxLength: 50 }),
  fc.tuple(fc.ipV6(), fc.constantFrom('%eth0', ' ', ':', '::', '.', '/', '\n', '\0')).map(([text, tail]) => text + tail),
);

const inside = (outer: Prefix, inner: Address | Prefix): boolean => {
  const whole = ipaddr.parse(networkOf(outer));
  const part = ipaddr.parse(inner.includes('/') ? networkOf(inner as Prefix) : inner);
  if (whole.kind() !== part.kind() || (inner.includes('/') && bitsOf(inner as Prefix) < bitsOf(outer))) return false;
  return part.kind() === 'ipv4'
    ? (part as ipaddr.IPv4).match(whole as ipaddr.IPv4, bitsOf(outer))
    : (part as ipaddr.IPv6).match(whole as ipaddr.IPv6, bitsOf(outer));
};

describe('addresses, against ipaddr.js', () => {
  test.prop([nearlyAddress], { numRuns: 5_000 })('the same texts are addresses, and print the same canonical text', text => {
    const ours = parseAddress(text);
    const theirs = oracle(text);
    expect(ours.ok ? ours.value : undefined).toBe(theirs === undefined ? undefined : canonical(theirs));
  });

  test.prop([sixteen], { numRuns: 2_000 })('16 bytes survive the way through text', bytes => {
    const text = addressFromBytes(bytes);
    expect(parseAddress(text)).toEqual({ ok: true, value: text });
    expect(addressBytes(text)).toEqual(bytes);
    expect(text).toBe(canonical(ipaddr.process(ipaddr.fromByteArray([...bytes]).toString())));
  });

  test.prop([prefix], { numRuns: 2_000 })('a canonical prefix parses to itself', text => {
    expect(parsePrefix(text)).toEqual({ ok: true, value: text });
  });

  test.prop([address, fc.nat(130)], { numRuns: 2_000 })('a prefix with host bits is refused, one without is the network that ipaddr.js names', (at, bits) => {
    const text = `${at}/${bits}`;
    const width = familyOf(at) === 4 ? 32 : 128;
    const read = parsePrefix(text);
    if (bits > width) {
      expect(read).toEqual({ ok: false, why: 'bad-prefix-length' });
      return;
    }
    const network = canonical(familyOf(at) === 4 ? ipaddr.IPv4.networkAddressFromCIDR(text) : ipaddr.IPv6.networkAddressFromCIDR(text));
    expect(read).toEqual(network === at ? { ok: true, value: text } : { ok: false, why: 'host-bits-set' });
    expect(prefixOf(at, bits)).toBe(`${network}/${bits}`);
    expect(widen(hostPrefix(at), bits)).toBe(`${network}/${bits}`);
  });

  test.prop([prefix, address, fc.nat(128), fc.boolean()], { numRuns: 4_000 })('containment is that of ipaddr.js', (outer, other, bits, near) => {
    // Two random prefixes hardly ever nest: half of the time one is cut out of the other.
    const at = near ? networkOf(outer) : other;
    const inner = prefixOf(at, familyOf(at) === 4 ? bits % 33 : bits);
    expect(contains(outer, inner)).toBe(inside(outer, inner));
    expect(contains(outer, at)).toBe(inside(outer, at));
  });

  test.prop([fc.string({ unit: 'binary', maxLength: 200 })], { numRuns: 2_000 })('no text makes the parsers throw', text => {
    for (const read of [parseAddress(text), parsePrefix(text)]) expect(read.ok ? parsePrefix(read.value).ok : read.why.length > 0).toBe(true);
  });

  test.prop([nearlyAddress, fc.constantFrom('/', '/0', '/8', '/032', '/32', '/33', '/64', '/128', '/129', '/1e1', '/-1', '/ 8', '/+8', '//8')], {
    numRuns: 5_000,
  })('an order with a random text is a canonical prefix or refused', (text, tail) => {
    const read = parsePrefix(text + tail);
    if (!read.ok) return;
    expect(parsePrefix(read.value)).toEqual(read);
    expect(oracle(text)).toBeDefined();
    expect(/^\/(0|[1-9]\d*)$/.test(tail)).toBe(true);
  });
});

describe('the prefix table, against a list', () => {
  // Few distinct bits, so that prefixes nest and collide.
  const dense = fc.tuple(fc.constantFrom('203.0.113.', '2001:db8:'), fc.nat(3), fc.nat(3)).chain(([stem, high, low]) => {
    const at = (stem.includes(':') ? `${stem}${high}:${low}::${low}` : `${stem}${high * 64 + low}`) as Address;
    return fc.nat(128).map(bits => prefixOf(at, familyOf(at) === 4 ? bits % 33 : bits));
  });

  test.prop([fc.array(fc.tuple(fc.boolean(), dense), { maxLength: 80 }), dense], { numRuns: 1_000 })(
    'covering and within find what a scan finds',
    (steps, asked) => {
      const table = createPrefixTable<Prefix>();
      const list = new Set<Prefix>();
      for (const [put, target] of steps) {
        if (put) {
          table.set(target, target);
          list.add(target);
        } else {
          expect(table.delete(target)).toBe(list.delete(target));
        }
      }
      expect(table.size).toBe(list.size);
      expect(table.covering(asked)).toEqual([...list].filter(held => contains(held, asked)).sort((one, other) => bitsOf(one) - bitsOf(other)));
      expect([...table.within(asked)].sort()).toEqual([...list].filter(held => contains(asked, held)).sort());
      expect(table.within(asked, 2)).toEqual(table.within(asked).slice(0, 2));
    },
  );
});
