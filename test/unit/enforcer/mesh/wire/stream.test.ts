/** Streams: requests and replies in chunks of any size, memberlist's limits on them and ours, and what is answered. */
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, type PushedMember, type PushPull, type StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { MEMBER, PUSH_PULL_HEADER, USER_HEADER } from '#enforcer/mesh/protocol/wire/bodies.ts';
import { joined, NO_BYTES, u32Bytes } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { compressed } from '#enforcer/mesh/protocol/wire/compression.ts';
import { sealed } from '#enforcer/mesh/protocol/wire/encryption.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { labelHeader } from '#enforcer/mesh/protocol/wire/label.ts';
import { MEMBERLIST_STREAM_LIMITS, WIRE_LIMITS } from '#enforcer/mesh/protocol/wire/limits.ts';
import { Writer } from '#enforcer/mesh/protocol/wire/msgpack-writer.ts';
import { createStreamReader, type StreamReaderOptions, type StreamReading } from '#enforcer/mesh/protocol/wire/stream-reader.ts';
import { encodeStream, type StreamRole, type StreamSealOptions } from '#enforcer/mesh/protocol/wire/stream-writer.ts';
import { ascii, countedKey, fromHex } from '#test/support/memberlist-vectors.ts';

const label = ascii('honeymesh');
const keyring = createKeyring([countedKey(32)]);
const nonce = new Uint8Array(12).fill(6);
const member: PushedMember = {
  name: 'n1',
  address: Uint8Array.of(10, 0, 0, 1),
  port: 7946,
  meta: ascii('meta'),
  incarnation: 3,
  state: 'alive',
  versions: Uint8Array.of(1, 5, 2, 0, 0, 0),
};
const pushPull: PushPull = {
  kind: 'push-pull',
  join: true,
  members: [member, { ...member, name: 'n2', state: 'suspect', incarnation: 0 }, { ...member, name: 'n3', state: 'left', address: NO_BYTES }],
  userState: ascii('the state of the application'),
};
const MESSAGES: readonly StreamMessage[] = [
  pushPull,
  { ...pushPull, join: false, members: [], userState: NO_BYTES },
  { kind: 'ping', sequence: 7, node: 'n2' },
  { kind: 'ack', sequence: 7, payload: null },
  { kind: 'user', payload: ascii('hello') },
  { kind: 'user', payload: NO_BYTES },
  { kind: 'user', payload: new Uint8Array(100_000).fill(0x61) },
  { kind: 'error', text: 'no installed keys could decrypt the message' },
];

const clear: StreamSealOptions = { role: 'dialer', label: NO_BYTES, keyring: null, compress: false, encryption: 1, nonce };
const reading: StreamReaderOptions = { role: 'acceptor', label: NO_BYTES, keyring: null, verifyIncoming: true };

function inChunks(bytes: Uint8Array, size: number, options: StreamReaderOptions): StreamReading {
  const reader = createStreamReader(options);
  let last: StreamReading = { state: 'more' };
  for (let at = 0; at < bytes.length && last.state === 'more'; at += size) last = reader.push(bytes.subarray(at, at + size));
  return last;
}
const read = (bytes: Uint8Array, options: Partial<StreamReaderOptions> = {}): StreamReading => inChunks(bytes, bytes.length || 1, { ...reading, ...options });
const refused = (why: string, answer: string | null = null): StreamReading => ({ state: 'refused', why, answer }) as StreamReading;

const COVERS = [
  ['clear', { label: NO_BYTES, keyring: null, compress: false, encryption: 1 }],
  ['compressed', { label: NO_BYTES, keyring: null, compress: true, encryption: 1 }],
  ['labelled', { label, keyring: null, compress: false, encryption: 1 }],
  ['labelled and compressed', { label, keyring: null, compress: true, encryption: 1 }],
  ['encrypted', { label: NO_BYTES, keyring, compress: false, encryption: 1 }],
  ['encrypted, padded, labelled and compressed', { label, keyring, compress: true, encryption: 0 }],
] as const;

describe.each(COVERS)('%s', (_, cover) => {
  describe.each(['dialer', 'acceptor'] as const)('from the %s', from => {
    const to: StreamRole = from === 'dialer' ? 'acceptor' : 'dialer';
    const options: StreamReaderOptions = { role: to, label: cover.label, keyring: cover.keyring, verifyIncoming: true };

    test.each(MESSAGES.map(message => [`${message.kind}`, message] as const))('%s, complete with its last byte and no earlier', (__, message) => {
      const bytes = encodeStream(message, { ...cover, role: from, nonce });
      expect(read(bytes, options)).toMatchObject({ state: 'complete', message, refusedMembers: 0 });
      expect(read(bytes.subarray(0, -1), options)).toEqual({ state: 'more' });
      for (const size of [1, 7, 1000]) if (bytes.length / size < 3000) expect(inChunks(bytes, size, options)).toMatchObject({ message });
    });
  });
});

describe('the label', () => {
  const ping: StreamMessage = { kind: 'ping', sequence: 7, node: '' };
  const dialled = encodeStream(ping, { ...clear, label, keyring });

  test('only the dialer sends it, and it is authenticated both ways', () => {
    const reply = encodeStream(ping, { ...clear, role: 'acceptor', label, keyring });
    expect(dialled.subarray(0, 11)).toEqual(labelHeader(label));
    expect(reply[0]).toBe(MESSAGE_TYPE.encrypt);
    expect(read(reply, { role: 'dialer', label, keyring })).toMatchObject({ state: 'complete' });
    expect(read(reply, { role: 'dialer', label: NO_BYTES, keyring })).toMatchObject({ why: 'no-key-fits' });
    expect(read(dialled, { role: 'dialer', label, keyring })).toEqual(
      refused('plaintext-refused', 'encryption is configured but remote state is not encrypted'),
    );
  });

  test.each([
    ['missing', encodeStream(ping, clear), label, 'label-missing'],
    ['another', encodeStream(ping, { ...clear, label: ascii('blah') }), label, 'label-differs'],
    ['unexpected', encodeStream(ping, { ...clear, label }), NO_BYTES, 'label-unexpected'],
    ['of no length', Uint8Array.of(244, 0), label, 'label-malformed'],
  ] as const)('%s: closed without a word', (_, bytes, ours, why) => expect(read(bytes, { label: ours })).toEqual(refused(why)));

  test('checked elsewhere, it is authenticated all the same', () => {
    expect(read(dialled.subarray(11), { label, keyring, skipLabelCheck: true })).toMatchObject({ state: 'complete' });
    expect(read(dialled, { label, keyring, skipLabelCheck: true })).toEqual(refused('label-unexpected'));
  });
});

describe('what is answered as Go answers it', () => {
  const request = encodeStream(pushPull, { ...clear, keyring });

  test('another key', () => {
    const other = createKeyring([countedKey(16)]);
    expect(read(request, { keyring: other })).toEqual(refused('no-key-fits', 'no installed keys could decrypt the message'));
  });

  test('encrypted, where no key is configured: at once, before the frame is there', () => {
    expect(read(request.subarray(0, 1))).toEqual(refused('encrypted-refused', 'remote state is encrypted and encryption is not configured'));
  });

  test('clear, where encryption is asked for: at the first byte, whatever it is', () => {
    const answer = 'encryption is configured but remote state is not encrypted';
    expect(read(Uint8Array.of(MESSAGE_TYPE.pushPull), { keyring })).toEqual(refused('plaintext-refused', answer));
    expect(read(Uint8Array.of(99), { keyring })).toEqual(refused('plaintext-refused', answer));
    expect(read(encodeStream(pushPull, clear), { keyring, verifyIncoming: false })).toMatchObject({ state: 'complete', sealed: null });
  });

  test('what does not expand', () => {
    const bad = fromHex('0982a4416c676f00a3427566a3ffffff');
    expect(read(bad)).toEqual(refused('bad-compression', 'not compressed as it says'));
    expect(read(compressed(NO_BYTES))).toEqual(refused('empty-expansion', 'it expands to nothing'));
    expect(read(compressed(new Uint8Array(9 * 1024 * 1024)))).toMatchObject({ why: 'expands-too-far', answer: expect.any(String) });
  });

  test.each([
    ['an unknown type', Uint8Array.of(99), 'unknown-type'],
    ['a message of datagrams', Uint8Array.of(MESSAGE_TYPE.suspect, 0x80), 'unknown-type'],
    ['a compression in a compression', compressed(compressed(Uint8Array.of(MESSAGE_TYPE.ping, 0x80))), 'unknown-type'],
    ['a header that is none', Uint8Array.of(MESSAGE_TYPE.pushPull, 0x05), 'malformed'],
    ['a member that is none', joined(fromHex('0681a54e6f64657301'), Uint8Array.of(0x05)), 'malformed'],
    ['a push/pull cut short inside of a compression', compressed(fromHex('0681a54e6f64657301')), 'truncated'],
  ])('%s is not: closed without a word', (_, bytes, why) => expect(read(bytes)).toEqual(refused(why)));
});

describe('frames', () => {
  const frame = (plain: Uint8Array, version: 0 | 1 = 1): Uint8Array => {
    const [key] = keyring.keys;
    if (key === undefined) throw new Error('no key');
    const length = 29 + plain.length + (version === 0 ? 16 - (plain.length % 16) : 0);
    const head = joined(Uint8Array.of(MESSAGE_TYPE.encrypt), u32Bytes(length));
    return joined(head, sealed(plain, { key, version, nonce, context: head }));
  };

  test.each([0, 1] as const)('one around nothing, which ends a Go process of v0.7.0, is a fault with a reason (encryption version %i)', version => {
    expect(read(frame(NO_BYTES, version), { keyring })).toEqual(refused('empty-plaintext', 'nothing was encrypted in it'));
  });

  test('one that claims 20 MiB and a byte is refused at its head', () => {
    const head = joined(Uint8Array.of(MESSAGE_TYPE.encrypt), u32Bytes(20 * 1024 * 1024 + 1));
    expect(read(head, { keyring, limits: { ...WIRE_LIMITS, ...MEMBERLIST_STREAM_LIMITS } })).toEqual(refused('too-long'));
    expect(read(head.with(1, 0).with(2, 0x40), { keyring })).toEqual(refused('too-long'));
  });

  test('one too short to be encrypted is refused at its head', () => {
    expect(read(fromHex('0a0000001c'), { keyring })).toMatchObject({ why: 'ciphertext-too-short' });
  });

  test('a claim of 4 MiB holds no memory until the bytes come', () => {
    const reader = createStreamReader({ ...reading, keyring });
    reader.push(joined(Uint8Array.of(MESSAGE_TYPE.encrypt), u32Bytes(4 * 1024 * 1024)));
    expect(reader.heldBytes).toBeLessThan(1024);
    reader.push(new Uint8Array(10_000));
    expect(reader.heldBytes).toBeLessThan(25_000);
  });

  test('its head is authenticated', () => {
    const bytes = frame(Uint8Array.of(MESSAGE_TYPE.ping, 0x80, 0, 0));
    expect(read(bytes, { keyring })).toMatchObject({ state: 'complete' });
    expect(read(joined(bytes, Uint8Array.of(0)).with(4, (bytes[4] ?? 0) + 1), { keyring })).toMatchObject({ why: 'no-key-fits' });
  });
});

describe('limits', () => {
  const header = (values: { Nodes: number; UserStateLen: number }): Uint8Array => PUSH_PULL_HEADER.message(MESSAGE_TYPE.pushPull, { ...values, Join: false });
  const userHeader = (length: number): Uint8Array => USER_HEADER.message(MESSAGE_TYPE.user, { UserMsgLen: length });
  const memberlist = { limits: { ...WIRE_LIMITS, ...MEMBERLIST_STREAM_LIMITS } };

  test.each([
    ['10,000,000 members', header({ Nodes: 10_000_000, UserStateLen: 0 }), 'too-many'],
    ['30,000,000 bytes of user state', header({ Nodes: 0, UserStateLen: 30_000_000 }), 'too-long'],
    ['a user message of 30,000,000 bytes', userHeader(30_000_000), 'too-long'],
    ['-1 members', fromHex('0681a54e6f646573ff'), 'bad-integer'],
    ['-1 bytes of user state', fromHex('0681ac5573657253746174654c656eff'), 'bad-integer'],
    ['a user message of -1 bytes', fromHex('0881aa557365724d73674c656ed0ff'), 'bad-integer'],
  ])('%s: refused at the header, with our limits and with memberlist’s', (_, bytes, why) => {
    expect(read(bytes)).toEqual(refused(why));
    expect(read(bytes, memberlist)).toEqual(refused(why));
  });

  test('ours are below memberlist’s', () => {
    expect(read(header({ Nodes: 65_537, UserStateLen: 0 }))).toEqual(refused('too-many'));
    expect(read(header({ Nodes: 65_537, UserStateLen: 0 }), memberlist)).toEqual({ state: 'more' });
  });

  test('a megabyte passes, on a clear stream and in a frame', () => {
    const message: StreamMessage = { kind: 'user', payload: new Uint8Array(1024 * 1024).fill(1) };
    for (const ring of [null, keyring]) {
      const bytes = encodeStream(message, { ...clear, keyring: ring });
      expect(inChunks(bytes, 65_536, { ...reading, keyring: ring })).toMatchObject({ state: 'complete', message });
    }
  });

  test('a clear stream that never ends is cut at the limit', () => {
    const limits = { ...WIRE_LIMITS, streamBytes: 100_000 };
    const reader = createStreamReader({ ...reading, limits });
    let last = reader.push(header({ Nodes: 65_000, UserStateLen: 0 }));
    const filler = new Writer();
    MEMBER.write(filler, { Name: 'n', Addr: NO_BYTES, Port: 0, Meta: new Uint8Array(512), Incarnation: 0, State: 0, Vsn: NO_BYTES });
    const chunk = joined(...Array.from({ length: 20 }, () => filler.written()));
    for (let pushed = 0; pushed < 40 && last.state === 'more'; pushed++) last = reader.push(chunk);
    expect(last).toEqual(refused('too-long'));
    expect(reader.heldBytes).toBe(0);
  });

  test('a member that Go takes and we do not is left out, and the others are taken', () => {
    const writer = new Writer();
    const plain = { Name: 'n', Addr: NO_BYTES, Port: 1, Meta: NO_BYTES, Incarnation: 1, State: 0, Vsn: NO_BYTES };
    writer.raw(header({ Nodes: 4, UserStateLen: 2 }));
    MEMBER.write(writer, { ...plain, Name: 'n'.repeat(600) });
    MEMBER.write(writer, { ...plain, Meta: new Uint8Array(513) });
    MEMBER.write(writer, { ...plain, State: 4 });
    MEMBER.write(writer, plain);
    writer.raw(ascii('us'));
    expect(read(writer.written())).toMatchObject({ state: 'complete', refusedMembers: 3, message: { members: [{ name: 'n' }], userState: ascii('us') } });
  });

  test('members that are nothing at all come out as nothing, and a truncated one as an end', () => {
    expect(read(joined(header({ Nodes: 2, UserStateLen: 0 }), Uint8Array.of(0x80, 0xc0)))).toMatchObject({
      message: { members: [{ name: '' }, { name: '' }] },
    });
    const reader = createStreamReader(reading);
    reader.push(header({ Nodes: 2, UserStateLen: 0 }));
    expect(reader.end()).toEqual(refused('truncated'));
    expect(reader.push(Uint8Array.of(0x80, 0x80))).toEqual(refused('truncated'));
  });

  test('a member of unknown keys that never ends is refused when it has too many, not read for ever', () => {
    const start = joined(header({ Nodes: 1, UserStateLen: 0 }), fromHex('df00000800'));
    const reader = createStreamReader(reading);
    let last = reader.push(start);
    const startedAt = performance.now();
    for (let pair = 0; pair < 5000 && last.state === 'more'; pair++) last = reader.push(fromHex('a158920101'));
    expect(last).toEqual(refused('too-many'));
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});

test('nothing more changes what was read, and messages do not share the chunks', () => {
  const bytes = Buffer.from(encodeStream(pushPull, clear));
  const reader = createStreamReader(reading);
  const complete = reader.push(bytes);
  expect(reader.push(Uint8Array.of(1, 2, 3))).toBe(complete);
  expect(reader.end()).toBe(complete);
  bytes.fill(0);
  expect(complete).toMatchObject({ message: pushPull });
});

test('a small message does not keep a large frame alive', () => {
  const bytes = encodeStream({ ...pushPull, members: Array.from({ length: 50 }, () => member) }, { ...clear, keyring });
  const complete = read(bytes, { keyring });
  if (complete.state !== 'complete' || complete.message.kind !== 'push-pull') throw new Error(complete.state);
  const [first = member] = complete.message.members;
  for (const part of [complete.message.userState, first.meta, first.address]) expect(part.buffer.byteLength).toBe(part.length);
});

test('a connection that says nothing has nothing in it', () => expect(createStreamReader(reading).end()).toEqual(refused('empty')));
