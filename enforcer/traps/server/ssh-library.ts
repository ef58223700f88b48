/**
 * ssh2, as far as it is used: its transport (key exchange, ciphers, compression), below what its own server is made of. That server keeps streams and
 * listeners for each client and offers algorithms of its own choice. These are inner parts: package.json names the exact version, ssh-transport.ts alone
 * builds on them, and its tests say at once when they change.
 */
import { createRequire } from 'node:module';
import type { Exchange } from './ssh-exchanges.ts';

export interface HostKey {
  readonly type: string;
  getPublicSSH(): Buffer;
  getPrivatePEM(): string | null;
  /** `hash`: other than the one that the kind of key has. */
  sign(data: Buffer, hash?: string): Buffer | Error;
}

export interface Protocol {
  _kex: Exchange | undefined;
  _onPayload: (payload: Buffer) => unknown;
  readonly _packetRW: { readonly read: PacketReader; readonly write: PacketWriter };
  _cipher: { encrypt(packet: Buffer): void };
  readonly _decipher: { readonly inSeqno: number };
  _remoteIdentRaw: Buffer;
  _skipNextInboundPacket: boolean;
  readonly _authsQueue: string[];
  parse(chunk: Buffer, at: number, length: number): void;
  disconnect(reason: number): void;
  authSuccess(): void;
  cleanup(): void;
}

interface PacketReader {
  readonly _zlib?: { _maxOutputLength: number };
  read(payload: Buffer): Buffer;
}

interface PacketWriter {
  readonly allocStart: number;
  alloc(length: number): Buffer;
  finalize(packet: Buffer): Buffer;
}

export interface ProtocolConfig {
  readonly server: true;
  readonly hostKeys: Readonly<Record<string, HostKey>>;
  /** What follows `SSH-2.0-`. */
  readonly ident: string;
  readonly offer: object;
  readonly onWrite: (bytes: Buffer) => void;
  readonly onError: (error: Error) => void;
  readonly onHandshakeComplete: () => void;
}

export interface SshLibrary {
  readonly Protocol: new (config: ProtocolConfig) => Protocol;
  readonly KexInit: new (lists: object) => object;
  readonly handlers: readonly (((protocol: Protocol, payload: Buffer) => unknown) | undefined)[];
  sendPacket(protocol: Protocol, packet: Buffer): void;
  /** As SSH writes it. */
  convertSignature(signature: Buffer, keyType: string): Buffer | false;
  parseKey(key: string): HostKey | readonly HostKey[] | Error;
}

let loaded: SshLibrary | undefined;
let loading: Promise<SshLibrary> | undefined;
let failure: unknown;

/**
 * The library, or `undefined` while it is on its way: it is loaded when a client first speaks, since it costs memory that many hosts never need. Throws
 * where it cannot be loaded: an installation that is not whole.
 */
export function sshLibrary(): SshLibrary | undefined {
  if (failure !== undefined) throw failure;
  if (loading === undefined) loadSshLibrary().catch(() => {}); // thrown from the next call on
  return loaded;
}

/** Loads it now. */
export function loadSshLibrary(): Promise<SshLibrary> {
  loading ??= load().catch((error: unknown) => {
    failure = error;
    throw error;
  });
  return loading;
}

async function load(): Promise<SshLibrary> {
  const require = createRequire(import.meta.url);
  const utils = require('ssh2/lib/protocol/utils.js');
  const library: SshLibrary = {
    Protocol: require('ssh2/lib/protocol/Protocol.js'),
    KexInit: require('ssh2/lib/protocol/kex.js').KexInit,
    handlers: require('ssh2/lib/protocol/handlers.js'),
    sendPacket: utils.sendPacket,
    convertSignature: utils.convertSignature,
    parseKey: require('ssh2/lib/protocol/keyParser.js').parseKey,
  };
  await require('ssh2/lib/protocol/crypto.js').init;
  loaded = library;
  return library;
}
