/**
 * Every decoder of the mesh's wire under spoilt golden bytes, spoilt before and behind encryption, and under noise. No throw, nothing unbounded, no input
 * that takes long. HONEYMESH_NIGHTLY=1: a million inputs for each.
 */
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE } from '#enforcer/mesh/protocol/messages.ts';
import { COMPRESSED } from '#enforcer/mesh/protocol/wire/bodies.ts';
import { joined } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { compound } from '#enforcer/mesh/protocol/wire/compound.ts';
import { compressed } from '#enforcer/mesh/protocol/wire/compression.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { WIRE_LIMITS } from '#enforcer/mesh/protocol/wire/limits.ts';
import { compressLzw, expandLzw } from '#enforcer/mesh/protocol/wire/lzw.ts';
import { decodePacket, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { createStreamReader, type StreamReaderOptions } from '#enforcer/mesh/protocol/wire/stream-reader.ts';
import { ascii, captures, countedKey, fromHex, vectorsOf } from '#test/support/memberlist-vectors.ts';
import { isBounded } from '#test/support/mesh-messages.ts';
import { type Dice, diceOf, mutated, noise } from '#test/support/mutations.ts';

const INPUTS = process.env.HONEYMESH_NIGHTLY === '1' ? 1_000_000 : 20_000;
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_261_124);
/** One input, of this process's own time: a full expansion of a stream costs some 50 ms. */
const SLOWEST_MS = 1000;

const label = ascii('hm');
const nonce = new Uint8Array(12);
const keyring = createKeyring([countedKey(32), countedKey(16)]);
const vectors = vectorsOf('0.7.0');
const named = (shape: RegExp): readonly Uint8Array[] =>
  Object.entries(vectors)
    .filter(([name, hex]) => shape.test(name) && hex.length < 4000)
    .map(([, hex]) => fromHex(hex));

const MESSAGES = named(/^(ack|alive|compound|compress|crc|dead|err|indirect|leave|nack|ping|suspect|user_udp)/);
const STREAMS = [
  ...named(/^(pushpull|user_tcp|ping|ack|err|compress)/),
  ...captures.flatMap(run => run.streams.map(({ client_to_server: hex }) => fromHex(hex))),
];
const SEALED = [...named(/^(udp_enc|tcp_)/), ...captures.flatMap(run => run.udp.slice(0, 5).map(({ hex }) => fromHex(hex)))];

const pick = (dice: Dice, from: readonly Uint8Array[]): Uint8Array => from[dice.below(from.length)] ?? new Uint8Array(0);
function spoilt(dice: Dice, from: readonly Uint8Array[]): Uint8Array {
  return dice.below(20) === 0 ? noise(dice, 400) : mutated(dice, pick(dice, from), pick(dice, from));
}

/** Runs `input` on each of INPUTS dice and names the one that fails. */
function attack(name: string, input: (dice: Dice) => void): void {
  for (let round = 0; round < INPUTS; round++) {
    const seed = SEED + round * 7919;
    const before = process.cpuUsage();
    try {
      input(diceOf(seed));
    } catch (failure) {
      throw new Error(`${name}: HONEYMESH_SEED=${seed}: ${String(failure)}`, { cause: failure });
    }
    const tookMs = process.cpuUsage(before).user / 1000;
    if (tookMs > SLOWEST_MS) expect.fail(`${name}: HONEYMESH_SEED=${seed} took ${tookMs} ms`);
  }
}

function check(packet: ReturnType<typeof decodePacket>): void {
  if (!packet.ok) return;
  const { messages, refused } = packet.value;
  if (!messages.every(isBounded)) throw new Error('unbounded');
  if (messages.length + refused.length > WIRE_LIMITS.packetMessages + 1) throw new Error('too many');
}

describe('packets', () => {
  test('spoilt in clear', () => {
    attack('clear', dice => check(decodePacket(spoilt(dice, MESSAGES), { label: new Uint8Array(0), keyring: null, verifyIncoming: true })));
  });

  test('spoilt before they were encrypted: what a member that turned can send', () => {
    attack('sealed', dice => {
      const parts = Array.from({ length: 1 + dice.below(4) }, () => spoilt(dice, MESSAGES));
      const encryption = dice.below(2) === 0 ? 0 : 1;
      const packet = sealPacket(parts, { label, keyring, compress: dice.below(2) === 0, checksum: dice.below(2) === 0, encryption, nonce });
      check(decodePacket(packet, { label, keyring, verifyIncoming: true }));
    });
  });

  test('spoilt after they were encrypted: what anybody can send', () => {
    attack('unsealed', dice => {
      const verifyIncoming = dice.below(2) === 0;
      check(
        decodePacket(spoilt(dice, SEALED), { label: dice.below(2) === 0 ? label : ascii('honeymesh'), keyring, verifyIncoming, source: `${dice.below(9)}` }),
      );
    });
  });
});

describe('streams', () => {
  function feed(dice: Dice, bytes: Uint8Array, options: StreamReaderOptions): void {
    const reader = createStreamReader(options);
    let at = 0;
    while (at < bytes.length) {
      const size = 1 + dice.below(120);
      const reading = reader.push(bytes.subarray(at, at + size));
      if (reading.state === 'complete' && !isBounded(reading.message)) throw new Error('unbounded');
      if (reader.heldBytes > 2 * bytes.length + 512) throw new Error(`holds ${reader.heldBytes} for ${bytes.length}`);
      at += size;
    }
    if (reader.end().state === 'more') throw new Error('never ends');
  }

  test('spoilt in clear', () => {
    const options: StreamReaderOptions = { role: 'dialer', label: new Uint8Array(0), keyring: null, verifyIncoming: true };
    attack('clear', dice => feed(dice, spoilt(dice, STREAMS), options));
  });

  test('spoilt with labels and frames', () => {
    attack('sealed', dice => {
      const role = dice.below(2) === 0 ? 'dialer' : 'acceptor';
      feed(dice, spoilt(dice, [...SEALED, ...STREAMS]), { role, label, keyring, verifyIncoming: dice.below(2) === 0 });
    });
  });
});

test('LZW: spoilt streams expand within their limit', () => {
  const samples = ['testing', 'abcdefgh'.repeat(300), '\0'.repeat(5000)].map(text => compressLzw(ascii(text)));
  attack('lzw', dice => {
    const limit = dice.below(100_000);
    const expansion = expandLzw(spoilt(dice, samples), limit);
    if (expansion.ok && expansion.value.length > limit) throw new Error('unbounded');
  });
});

describe('bombs cost bounded time and memory', () => {
  const MOST_MS = 500;
  const bomb = compressed(new Uint8Array(60 * 1024 * 1024));
  const nested = Array.from({ length: 40 }).reduce<Uint8Array>(inner => compressed(inner), Uint8Array.of(0, 0x80));
  const brokenOff = COMPRESSED.message(MESSAGE_TYPE.compress, { Algo: 0, Buf: compressLzw(new Uint8Array(400_000)).subarray(0, 300) });
  const table = (head: string): Uint8Array => joined(fromHex(head), new Uint8Array(60_000));

  test.each<[string, Uint8Array]>([
    ['an expansion of 1355 to one', bomb.subarray(0, 65_507)],
    ['forty compressions around each other', nested],
    ['compounds in compounds, 255 wide', compound(Array.from({ length: 100 }, () => compound(Array.from({ length: 255 }, () => new Uint8Array(0)))))],
    ['a map of 2^32 - 1 pairs', table('00dfffffffff')],
    ['a list of 2^32 - 1 bytes', table('0481a441646472ddffffffff')],
    ['a list of 60,000 bytes', table('0481a441646472dcea60')],
    ['lists 60,000 deep', joined(fromHex('0081a158'), new Uint8Array(60_000).fill(0x91))],
    ['a text of 2^32 - 1 bytes', table('0081a44e6f6465dbffffffff')],
    ['200 compressions that break off', compound(Array.from({ length: 200 }, () => brokenOff))],
  ])('%s', (_, packet) => {
    const options = { label: new Uint8Array(0), keyring: null, verifyIncoming: true };
    const before = process.memoryUsage().arrayBuffers;
    const started = process.cpuUsage();
    check(decodePacket(packet, options));
    createStreamReader({ ...options, role: 'dialer' }).push(packet);
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(MOST_MS);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });
});
