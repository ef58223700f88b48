/** Every golden vector of memberlist 0.2.2, 0.5.0 and 0.7.0, both ways, and none left out. */
import { afterAll, describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, type Message, type PushedMember, type StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { ALIVE, MEMBER, PUSH_PULL_HEADER, USER_HEADER } from '#enforcer/mesh/protocol/wire/bodies.ts';
import { joined, NO_BYTES } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { compound, partsOf } from '#enforcer/mesh/protocol/wire/compound.ts';
import { compressed, expanded } from '#enforcer/mesh/protocol/wire/compression.ts';
import { type EncryptionVersion, open, sealed } from '#enforcer/mesh/protocol/wire/encryption.ts';
import { createKeyring, type Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { labelHeader } from '#enforcer/mesh/protocol/wire/label.ts';
import { BOUNDS_OF_PACKET, decodeMessage, encodeMessage, readMember, writeMember } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { Cursor } from '#enforcer/mesh/protocol/wire/msgpack-cursor.ts';
import { Writer } from '#enforcer/mesh/protocol/wire/msgpack-writer.ts';
import { decodePacket, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { createStreamReader } from '#enforcer/mesh/protocol/wire/stream-reader.ts';
import { encodeStream } from '#enforcer/mesh/protocol/wire/stream-writer.ts';
import { ascii, countedKey, fromHex, toHex, VECTOR_NONCE, vectorsOf } from '#test/support/memberlist-vectors.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const VERSIONS = Uint8Array.of(1, 5, 2, 0, 0, 0);
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

const ping: Message = { kind: 'ping', sequence: 42, node: 'n1' };
const source = { address: LOOPBACK, port: 7946, node: 'src' };
const alive = { kind: 'alive', incarnation: 1, node: 'n1', address: LOOPBACK, port: 7946, meta: ascii('meta'), versions: VERSIONS } as const;
const suspect: Message = { kind: 'suspect', incarnation: 5, node: 'n2', from: 'n1' };
const IPV6 = fromHex('fd000000000000000000000000000001');

const MESSAGES: Readonly<Record<string, Message>> = {
  ack_emptypayload: { kind: 'ack', sequence: 42, payload: NO_BYTES },
  ack_nil: { kind: 'ack', sequence: 42, payload: null },
  ack_payload: { kind: 'ack', sequence: 42, payload: ascii('xyz') },
  alive,
  alive_ip16: { ...alive, address: fromHex('00000000000000000000ffff0a000001'), incarnation: 0xffff_ffff, port: 200, meta: filled(40, 0x61) },
  alive_ip6: { ...alive, address: IPV6, meta: NO_BYTES },
  alive_longname_meta300: { ...alive, node: 'x'.repeat(40), incarnation: 300, meta: filled(300, 0x62) },
  alive_meta31: { ...alive, meta: filled(31, 0) },
  alive_meta32: { ...alive, meta: filled(32, 0) },
  alive_meta512: { ...alive, meta: filled(512, 0xff) },
  alive_nilmeta: { ...alive, meta: NO_BYTES },
  alive_serf: { ...alive, meta: NO_BYTES, versions: Uint8Array.of(1, 5, 2, 2, 5, 4) },
  alive_utf8: { ...alive, meta: NO_BYTES, node: Buffer.from('nøde-蜜', 'utf8').toString('latin1') },
  dead: { ...suspect, kind: 'dead' },
  err: { kind: 'error', text: 'boom' },
  indirect: { kind: 'indirect-ping', sequence: 200, target: Uint8Array.of(127, 0, 0, 2), port: 7946, node: 'n2', nack: true, replyTo: source },
  indirect_min: { kind: 'indirect-ping', sequence: 1, target: LOOPBACK, port: 1, node: 'n', nack: false },
  leave: { kind: 'dead', incarnation: 5, node: 'n2', from: 'n2' },
  nack: { kind: 'nack', sequence: 42 },
  ping_empty: { kind: 'ping', sequence: 0, node: '' },
  ping_full: { kind: 'ping', sequence: 70_000, node: 'n1', replyTo: source },
  ping_min: ping,
  suspect,
  user_udp: { kind: 'user', payload: ascii('hello') },
  ...Object.fromEntries(
    [0, 127, 128, 255, 256, 65_535, 65_536, 2_147_483_647, 2_147_483_648, 4_294_967_295].map(incarnation => [
      `suspect_inc_${incarnation}`,
      { ...suspect, incarnation },
    ]),
  ),
};

const member = { name: 'n1', address: LOOPBACK, port: 7946, meta: ascii('meta'), incarnation: 7, state: 'alive', versions: VERSIONS } as const;
const MEMBERS: Readonly<Record<string, PushedMember>> = {
  pushNodeState: { ...member, meta: NO_BYTES },
  pushNodeState_alive: member,
  pushNodeState_suspect: { ...member, state: 'suspect' },
  pushNodeState_dead: { ...member, state: 'dead' },
  pushNodeState_left: { ...member, state: 'left' },
};

const PUSH_PULL: StreamMessage = {
  kind: 'push-pull',
  join: true,
  userState: ascii('state'),
  members: [
    { ...member, incarnation: 1 },
    { ...member, name: 'n2', incarnation: 300, meta: NO_BYTES, state: 'suspect', address: Uint8Array.of(127, 0, 0, 2) },
    { ...member, name: 'n3', incarnation: 9, meta: NO_BYTES, state: 'left', address: IPV6 },
  ],
};
const STREAMS: Readonly<Record<string, StreamMessage>> = {
  ping: ping as StreamMessage,
  user: { kind: 'user', payload: ascii('hello') },
  pushpull: PUSH_PULL,
  pushpull_3nodes_user5: PUSH_PULL,
  user_tcp: { kind: 'user', payload: ascii('hello') },
};

/** x = 1664525x + 1013904223 from 12345, the topmost byte of each. */
function lcg(length: number): Uint8Array {
  let state = 12_345;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(1_664_525, state) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

const COMPOUND = compound([encodeMessage(ping), encodeMessage(suspect)]);
const PLAINS: Readonly<Record<string, Uint8Array>> = {
  compress_empty: NO_BYTES,
  compress_byte: Uint8Array.of(0),
  compress_testing: ascii('testing'),
  compress_zeros70000: filled(70_000, 0),
  compress_rep8000_abcdefgh: ascii('abcdefgh'.repeat(1000)),
  compress_lcg20000: lcg(20_000),
  compress_compound: COMPOUND,
};

const clear = { label: NO_BYTES, keyring: null, compress: false, checksum: false, encryption: 1, nonce: NO_BYTES } as const;
const opening = { label: NO_BYTES, keyring: null, verifyIncoming: true };
const unwrap = <T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string }): T => {
  if (!result.ok) throw new Error(result.why);
  return result.value;
};

describe.each(['0.2.2', '0.5.0', '0.7.0'] as const)('memberlist %s', release => {
  const vectors = vectorsOf(release);
  const names = Object.keys(vectors).filter(name => name !== '_about');
  const seen = new Set<string>();
  const named = (shape: RegExp): readonly string[] => names.filter(name => shape.test(name));
  const bytesOf = (name: string): Uint8Array => {
    seen.add(name);
    return fromHex(vectors[name] ?? '');
  };
  const ofTable = (table: Readonly<Record<string, unknown>>): readonly string[] => names.filter(name => name in table);

  test.each(ofTable(MESSAGES))('%s', name => {
    const message = MESSAGES[name] as Message;
    expect(toHex(encodeMessage(message))).toBe(toHex(bytesOf(name)));
    expect(unwrap(decodeMessage(bytesOf(name)))).toEqual(message);
  });

  test.each(named(/^alive_emptymeta$/))('%s: no meta, sent as empty and not as nil, is no meta', name => {
    expect(unwrap(decodeMessage(bytesOf(name)))).toEqual({ ...alive, meta: NO_BYTES });
    expect(toHex(ALIVE.message(MESSAGE_TYPE.alive, { Incarnation: 1, Node: 'n1', Addr: LOOPBACK, Port: 7946, Meta: NO_BYTES, Vsn: VERSIONS }))).toBe(
      toHex(bytesOf(name)).replace('a44d657461a0', 'a44d657461c0'),
    );
  });

  test.each(ofTable(MEMBERS))('%s', name => {
    const writer = new Writer();
    writeMember(writer, MEMBERS[name] as PushedMember);
    expect(toHex(writer.written())).toBe(toHex(bytesOf(name)));
    const cursor = new Cursor(bytesOf(name), 0, BOUNDS_OF_PACKET);
    expect(readMember(cursor)).toEqual(MEMBERS[name]);
    expect(cursor).toMatchObject({ fault: null, refusal: null, at: bytesOf(name).length });
    expect(MEMBER.read(new Cursor(bytesOf(name), 0, BOUNDS_OF_PACKET)).Name).toBe('n1');
  });

  test.each(named(/^(pphdr|userMsgHeader)_/))('%s: signed or unsigned is read, unsigned is written', name => {
    const size = Number(name.split('_')[1]);
    const cursor = new Cursor(bytesOf(name), 0, BOUNDS_OF_PACKET);
    const writer = new Writer();
    if (name.startsWith('user')) {
      expect(USER_HEADER.read(cursor)).toEqual({ UserMsgLen: size });
      USER_HEADER.write(writer, { UserMsgLen: size });
    } else {
      const header = name === 'pphdr_nojoin' ? { Nodes: 2, UserStateLen: 5, Join: false } : { Nodes: size, UserStateLen: size, Join: true };
      expect(PUSH_PULL_HEADER.read(cursor)).toEqual(header);
      PUSH_PULL_HEADER.write(writer, header);
    }
    expect(cursor).toMatchObject({ fault: null, at: bytesOf(name).length });
    const unsigned = vectorsOf('0.5.0')[name] ?? (size <= 127 || Number.isNaN(size) ? vectors[name] : undefined);
    if (unsigned !== undefined) expect(toHex(writer.written())).toBe(unsigned);
  });

  test.each(named(/^compound$/))('%s', name => {
    expect(toHex(COMPOUND)).toBe(toHex(bytesOf(name)));
    expect(unwrap(decodePacket(bytesOf(name), opening)).messages).toEqual([ping, suspect]);
  });

  test.each(named(/^compound_255$/))('%s: as many parts as there can be', name => {
    const taken = unwrap(partsOf(bytesOf(name)));
    expect(taken.parts.map(part => [...part])).toEqual(Array.from({ length: 255 }, (_, index) => [8, index]));
    expect(toHex(compound(taken.parts))).toBe(toHex(bytesOf(name)));
  });

  test.each(named(/^compound_nested$/))('%s', name => {
    expect(toHex(compound([compound([encodeMessage(ping)]), encodeMessage(suspect)]))).toBe(toHex(bytesOf(name)));
    expect(unwrap(decodePacket(bytesOf(name), opening)).messages).toEqual([ping, suspect]);
  });

  test.each(named(/^compress_/))('%s', name => {
    const plain = PLAINS[name] ?? encodeStream(PUSH_PULL, { ...clear, role: 'acceptor' });
    expect(toHex(compressed(plain))).toBe(toHex(bytesOf(name)));
    const expansion = expanded(bytesOf(name), 70_000, BOUNDS_OF_PACKET);
    expect(expansion).toEqual(plain.length === 0 ? { ok: false, why: 'empty-expansion' } : { ok: true, value: plain });
  });

  test.each(named(/^crc_/))('%s', name => {
    const parts = name === 'crc_ping' ? [encodeMessage(ping)] : [encodeMessage(ping), encodeMessage(suspect)];
    const packet = sealPacket(parts, { ...clear, checksum: true, compress: false });
    const packed = joined(Uint8Array.of(MESSAGE_TYPE.crc), bytesOf(name).subarray(1, 5), name === 'crc_ping' ? encodeMessage(ping) : compressed(COMPOUND));
    expect(toHex(packed)).toBe(toHex(bytesOf(name)));
    if (name === 'crc_ping') expect(toHex(packet)).toBe(toHex(bytesOf(name)));
    expect(unwrap(decodePacket(bytesOf(name), opening)).messages).toEqual(name === 'crc_ping' ? [ping] : [ping, suspect]);
  });

  test.each(named(/^label_/))('%s', name => {
    const label = filled(Number(name.split('_')[1]), 0x4c);
    expect(toHex(sealPacket([encodeMessage(ping)], { ...clear, label }))).toBe(toHex(bytesOf(name)));
    expect(unwrap(decodePacket(bytesOf(name), { ...opening, label })).messages).toEqual([ping]);
  });

  const sealingOf = (name: string): { readonly version: EncryptionVersion; readonly keyring: Keyring; readonly label: Uint8Array } => ({
    version: name.includes('_v0_') ? 0 : 1,
    keyring: createKeyring([countedKey(Number(/aes(\d+)/.exec(name)?.[1] ?? 256) / 8)]),
    label: name.endsWith('_aad_hm') ? ascii('hm') : NO_BYTES,
  });
  const plainOf = (name: string): Uint8Array | null => {
    if (name.includes('_ping_')) return encodeMessage(ping);
    return name.includes('_crc_lzw_compound_') ? fromHex(vectors.crc_compress_compound ?? '') : null;
  };

  test.each(named(/^enc_/))('%s', name => {
    const { version, keyring, label } = sealingOf(name);
    const { plain, nonce, key } = unwrap(open(bytesOf(name), keyring, label, undefined));
    expect(toHex(plain)).toBe(toHex(plainOf(name) ?? plain));
    expect(name.includes('16bytes') ? plain.length : 16).toBe(16);
    expect(toHex(sealed(plain, { key, version, nonce, context: label }))).toBe(toHex(bytesOf(name)));
    if (release === '0.7.0') expect(toHex(nonce)).toBe(toHex(VECTOR_NONCE));
  });

  test.each(named(/^udp_enc_/))('%s', name => {
    const { version, keyring, label } = sealingOf(name);
    const opened = decodePacket(bytesOf(name), { label, keyring, verifyIncoming: true });
    const blob = bytesOf(name).subarray(labelHeader(label).length);
    const inner = unwrap(open(blob, keyring, label, undefined)).plain;
    const packet = sealPacket([inner], { label, keyring, compress: false, checksum: false, encryption: version, nonce: VECTOR_NONCE });
    expect(toHex(packet)).toBe(toHex(bytesOf(name)));
    if (!name.includes('16bytes')) expect(unwrap(opened).messages).toEqual(name.includes('_ping_') ? [ping] : [ping, suspect]);
  });

  test.each(named(/^(tcp_|user_tcp|pushpull)/))('%s', name => {
    const { version, keyring, label } = sealingOf(name);
    const inner = /^tcp_v\d_aes\d+_([a-z]+)_/.exec(name)?.[1];
    const message = STREAMS[inner ?? name] as StreamMessage;
    const ring = inner === undefined ? null : keyring;
    const bytes = encodeStream(message, {
      role: 'dialer',
      label,
      keyring: ring,
      compress: inner === 'pushpull',
      encryption: version,
      nonce: VECTOR_NONCE,
    });
    expect(toHex(bytes)).toBe(toHex(bytesOf(name)));
    const reader = createStreamReader({ role: 'acceptor', label, keyring: ring, verifyIncoming: true });
    expect(reader.push(bytesOf(name))).toMatchObject({ state: 'complete', message, refusedMembers: 0 });
  });

  afterAll(() => expect(names.filter(name => !seen.has(name))).toEqual([]));
});
