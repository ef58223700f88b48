/**
 * What a host of the mesh reads beside the wire: its own files (a disk may hold anything), what an operator pasted, what a registrar or a host says over HTTPS,
 * what a DNS server answers. Spoilt by the thousand: a value or a reason, never a throw, and what is taken is what it says it is.
 */
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { encodeQuestion, readAnswer } from '#enforcer/mesh/node/dns-any.ts';
import { parseTarget } from '#enforcer/mesh/node/places.ts';
import { readJoin, readJoinAnswer, readKeysAnswer, readMember, readRefused, readRenewAnswer, toJson } from '#enforcer/mesh/registrar/messages.ts';
import { readRootFile } from '#enforcer/mesh/registrar/root-file.ts';
import { decodeToken, encodeToken } from '#enforcer/mesh/registrar/token.ts';
import { decodeEnvelopes, encodeEnvelopes } from '#enforcer/mesh/state/envelope-file.ts';
import {
  decodeEpoch,
  decodeIdentity,
  decodeKeys,
  decodeMembership,
  decodeTrust,
  decodeUse,
  encodeEpoch,
  encodeIdentity,
  encodeKeys,
  encodeMembership,
  encodeTrust,
  encodeUse,
} from '#enforcer/mesh/state/records.ts';
import { advice, CLUSTER, keyedHash, layerOf, NOON, secretOf, trust } from '#test/support/hm1.ts';
import { type Dice, diceOf, mutated, noise } from '#test/support/mutations.ts';

const INPUTS = process.env.HONEYMESH_NIGHTLY === '1' ? 1_000_000 : 10_000;
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_261_124);
const SLOWEST_MS = 500;

const trusted = trust(keyedHash());
const host = trusted.host('db1');
const { layer } = layerOf(trusted, host);
layer.advise([advice('203.0.113.7/32'), advice('2001:db8::/48')], NOON);
const bytes = (length: number): Uint8Array => secretOf('bytes').subarray(0, length);

const RECORDS: readonly string[] = [
  encodeIdentity({ nodeName: 'db1', edSecret: host.edSecret, xSecret: host.xSecret }),
  encodeTrust({
    clusterId: CLUSTER,
    rootPublic: bytes(32),
    certificate: host.certificate.bytes,
    registrars: [trusted.registrar.bytes],
    revocations: [bytes(30)],
    names: ['db1', 'web-2'],
  }),
  encodeKeys({ keys: [bytes(32), bytes(16)], generation: 7 }),
  encodeMembership({ bind: '0.0.0.0:7946', join: ['db2.example:7946'], label: 'honeymesh', registrar: { address: '192.0.2.1:7947', pin: bytes(32) } }),
  encodeUse({ keyId: 'abcd', encrypted: 12 }),
  encodeEpoch(12),
];
const trustParts = { time: NOON, registrars: [trusted.registrar.bytes], revocations: [bytes(20)] };
const proof = new Uint8Array(64);
const MESSAGES: readonly string[] = [
  { secret: bytes(16), nodeName: 'db1', edPublic: bytes(32), xPublic: bytes(32), time: NOON, proof },
  { certificate: host.certificate.bytes, time: NOON, nonce: bytes(16), proof },
  {
    ...trustParts,
    generation: 1,
    sealed: [bytes(32)],
    clusterId: CLUSTER,
    rootPublic: bytes(32),
    certificate: host.certificate.bytes,
    site: 'home',
    label: 'honeymesh',
    join: ['192.0.2.1:7946'],
  },
  { ...trustParts, certificate: host.certificate.bytes },
  { ...trustParts, generation: 1, sealed: [], issuer: '0011223344556677' },
  { refused: 'used-token', time: NOON },
].map(toJson);
const TOKEN = encodeToken({ clusterId: CLUSTER, pin: bytes(32), secret: bytes(16), expiresAt: unixMs(NOON), site: 'home', addresses: ['192.0.2.1:7947'] });
const ROOT = JSON.stringify({
  format: 'honeymesh-mesh-root',
  version: 1,
  clusterId: Buffer.from(CLUSTER).toString('base64'),
  rootPublic: Buffer.from(bytes(32)).toString('base64'),
  scrypt: { cost: 17, blockSize: 8, parallel: 1, salt: Buffer.from(bytes(16)).toString('base64') },
  nonce: Buffer.from(bytes(12)).toString('base64'),
  sealed: Buffer.from(bytes(32)).toString('base64'),
});
const ENVELOPES = encodeEnvelopes(layer.kept());
const QUESTION = (encodeQuestion('mesh.example', 7) ?? new Uint8Array()).subarray(2);
/** One of each kind, the second name a pointer. */
const ANSWER = Uint8Array.from([
  ...QUESTION.subarray(0, 2),
  ...[0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0],
  ...QUESTION.subarray(12),
  ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1],
  ...[0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
]);

function attack(name: string, input: (dice: Dice) => void): void {
  for (let round = 0; round < INPUTS; round++) {
    const seed = SEED + round * 7919;
    const before = process.cpuUsage();
    try {
      input(diceOf(seed));
    } catch (failure) {
      throw new Error(`${name}: HONEYMESH_SEED=${seed}: ${String(failure)}`, { cause: failure });
    }
    // Of this process alone: the machine may have other things to do.
    const tookMs = process.cpuUsage(before).user / 1000;
    if (tookMs > SLOWEST_MS) expect.fail(`${name}: HONEYMESH_SEED=${seed} took ${tookMs} ms`);
  }
}

const asBytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const pick = <T>(dice: Dice, from: readonly T[]): T => from[dice.below(from.length)] as T;
function spoilt(dice: Dice, from: readonly Uint8Array[]): Uint8Array {
  return dice.below(20) === 0 ? noise(dice, 300) : mutated(dice, pick(dice, from), pick(dice, from));
}
const spoiltText = (dice: Dice, from: readonly string[]): string => Buffer.from(spoilt(dice, from.map(asBytes))).toString('latin1');

const VALUES: readonly unknown[] = [null, 0, -1, 1e300, 2 ** 53, '', 'x'.repeat(3_000), [], {}, true, [[[[]]]], { length: 1e9 }, '__proto__'];

/** JSON that stays JSON: a value deep in it is another, or is gone, or is there a thousand times. */
function bentJson(dice: Dice, text: string): unknown {
  const value = JSON.parse(text) as Record<string, unknown>;
  const keys = Object.keys(value);
  const values = Object.values(value);
  for (let changes = 1 + dice.below(3); changes > 0; changes--) {
    const key = pick(dice, keys);
    const what = dice.below(4);
    if (what === 0) delete value[key];
    else if (what === 1) value[key] = Array.from({ length: dice.below(1_000) }, () => pick(dice, values));
    else value[key] = pick(dice, VALUES);
  }
  return value;
}

describe('files', () => {
  const decoders = [decodeIdentity, decodeTrust, decodeKeys, decodeMembership, decodeUse, decodeEpoch] as const;

  test('records', () => {
    attack('records', dice => {
      const text = dice.below(2) === 0 ? spoiltText(dice, RECORDS) : JSON.stringify(bentJson(dice, pick(dice, RECORDS)));
      for (const decode of decoders) decode(text);
      const identity = decodeIdentity(text);
      if (identity !== null && (identity.edSecret.length !== 32 || identity.xSecret.length !== 32)) throw new Error('keys of another length');
      const keys = decodeKeys(text);
      if (keys?.keys.some(key => ![16, 24, 32].includes(key.length))) throw new Error('group keys of another length');
    });
  });

  test('envelopes that hold', () => {
    attack('envelopes', dice => {
      const read = decodeEnvelopes(spoilt(dice, [ENVELOPES]));
      // The sum over all of it is right: then nothing was changed.
      if (read !== null && read.length !== layer.kept().length) throw new Error('taken, though spoilt');
    });
  });

  test('the root, without its passphrase', () => {
    attack('root', dice => {
      const text = dice.below(2) === 0 ? spoiltText(dice, [ROOT]) : JSON.stringify(bentJson(dice, ROOT));
      expect(typeof readRootFile(text).ok).toBe('boolean');
    });
  });
});

describe('words', () => {
  test('tokens that an operator pasted', () => {
    attack('token', dice => {
      const read = decodeToken(spoiltText(dice, [TOKEN]));
      if (read.ok && (read.value.secret.length !== 16 || read.value.pin.length !== 32 || read.value.addresses.length === 0)) throw new Error('half a token');
    });
  });

  test('requests and answers of registrars', () => {
    const readers = [readJoin, readMember, readJoinAnswer, readRenewAnswer, readKeysAnswer, readRefused] as const;
    attack('messages', dice => {
      const value = dice.below(4) === 0 ? pick(dice, VALUES) : bentJson(dice, pick(dice, MESSAGES));
      for (const read of readers) if (typeof read(value).ok !== 'boolean') throw new Error('neither taken nor refused');
    });
  });

  test('answers of a DNS server', () => {
    attack('dns', dice => {
      const read = readAnswer(spoilt(dice, [ANSWER]), 7);
      if (read.ok && read.value.length > 4_096) throw new Error('unbounded');
      if (read.ok && !read.value.every(address => /^[0-9a-f.:]+$/.test(address))) throw new Error('no address');
    });
    expect(readAnswer(ANSWER, 7)).toEqual({ ok: true, value: ['192.0.2.1', '2001:db8::7'] });
  });

  test('targets', () => {
    attack('targets', dice => {
      const read = parseTarget(spoiltText(dice, ['192.0.2.1:7946', '[2001:db8::1]:7946', 'db1.example', 'db1.example:1']));
      if (read.ok && !(read.value.port > 0 && read.value.port < 65_536)) throw new Error('no port');
    });
  });
});

test('a file that claims four thousand million envelopes is refused before anything is made for them', () => {
  const claiming = Uint8Array.from(ENVELOPES);
  claiming.set([0xff, 0xff, 0xff, 0xff], 4);
  const before = process.memoryUsage().heapUsed;
  expect(decodeEnvelopes(claiming)).toBeNull();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * 1024);
});
