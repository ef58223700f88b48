/**
 * The transport of one connection (RFC 4253) on ssh2: bytes in, messages out. ssh2 decrypts and exchanges keys; which algorithms, what is offered, and all
 * that is said above the transport is ours. Whatever the client sends may make this throw: the session is over then, and nothing else.
 */
import { bytesOf, u32 } from '../protocols/bytes.ts';
import { type KexInit, parseKexInit } from '../protocols/kexinit.ts';
import { HYBRID, listsOf, type SshOffer } from './ssh-algorithms.ts';
import { type Exchange, makeGroupExchange, makeHybrid } from './ssh-exchanges.ts';
import type { HostKey, Protocol, SshLibrary } from './ssh-library.ts';
import { MESSAGE } from './ssh-messages.ts';
import { type Settled, settle } from './ssh-negotiation.ts';

/** What the connections of a host share. */
export interface SshHost {
  readonly library: SshLibrary;
  /** By the name of the algorithm. */
  readonly hostKeys: Readonly<Record<string, HostKey>>;
  readonly offer: SshOffer;
  /** ssh2's form of `offer`. */
  readonly kexInit: object;
  /** What follows `SSH-2.0-`. */
  readonly identification: string;
}

export interface TransportEvents {
  send(bytes: Buffer): void;
  /** What the client can speak, once. */
  introduced(kexInit: KexInit): void;
  /** A message that came before there were keys, and has no business there. */
  stray(message: Buffer): void;
  /** The first key exchange is done. */
  secured(): void;
  /** A message of the client: its memory is the receiver's. */
  message(message: Buffer, sequence: number): void;
  /** A complete message of any kind: the client goes on. */
  progress(): void;
  /** Whether there is time for an exchange now; asked again at the next `receive`. */
  admit(): boolean;
}

/** What the client did that ends the session; `message` is ours, never the client's text. */
export class SshRefusal extends Error {
  override readonly name = 'SshRefusal';
  /** What the client sent made no sense, or is of no use to it. */
  readonly malformed: boolean;

  constructor(message: string, { malformed = true } = {}) {
    super(message);
    this.malformed = malformed;
  }
}

const LONGEST_PACKET = 35_000; // RFC 4253, 6.1
const LARGEST_INFLATED = 256 * 1024; // a packet may grow a thousandfold
const MOST_EXCHANGES = 4; // OpenSSH asks for another after a gigabyte, and no session comes to that
const DUMMY = Buffer.from('SSH-2.0-client\r\n');
const SSH_MSG_KEXINIT = 20;
const FIRST_OF_EXCHANGE = 30;
const LAST_OF_EXCHANGE = 49;

/** Host keys as PEM or in OpenSSH's format, those of `offer`'s algorithms. Throws where one cannot be read. */
export function createSshHost(library: SshLibrary, keys: readonly string[], offer: SshOffer, identification: string): SshHost {
  const hostKeys: Record<string, HostKey> = {};
  for (const text of keys) {
    const read = library.parseKey(text);
    if (read instanceof Error) throw new Error(`a host key of the SSH trap cannot be read: ${read.message}`);
    const key = 'type' in read ? read : read[0];
    if (key === undefined || key.getPrivatePEM() === null) throw new Error('a host key of the SSH trap is no private key');
    for (const algorithm of key.type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [key.type]) hostKeys[algorithm] ??= key;
  }
  const [kex, serverHostKey, cipher, , mac, , compress] = listsOf(offer, Object.keys(hostKeys)).map(list => (list === '' ? [] : list.split(',')));
  const way = { cipher, mac, compress, lang: [] };
  return { library, hostKeys, offer, identification, kexInit: new library.KexInit({ kex, serverHostKey, cs: way, sc: way }) };
}

export class SshTransport {
  readonly #host: SshHost;
  readonly #events: TransportEvents;
  readonly #protocol: Protocol;
  #clear: Buffer = Buffer.alloc(0); // of the packets before the keys
  #encrypted = false;
  #exchanges = 0;
  #asked: { readonly settled: Settled; readonly payload: Buffer } | undefined;
  #exchange: Exchange | undefined;

  /** `identification`: the client's line, without its end. Answers with KEXINIT. */
  constructor(host: SshHost, identification: Buffer, events: TransportEvents) {
    this.#host = host;
    this.#events = events;
    this.#protocol = new host.library.Protocol({
      server: true,
      hostKeys: host.hostKeys,
      ident: host.identification,
      offer: host.kexInit,
      onWrite: bytes => events.send(Buffer.from(bytes)), // a copy: ssh2 goes on to use some of them
      onError: error => {
        throw new SshRefusal(`ssh2: ${error.message.slice(0, 100)}`);
      },
      onHandshakeComplete: () => this.#complete(),
    });
    this.#protocol.disconnect = () => {}; // OpenSSH closes without a word where ssh2 would say this
    this.#protocol._onPayload = payload => this.#payload(payload);
    Object.defineProperty(this.#protocol, '_kex', { get: () => this.#exchange, set: (exchange: Exchange) => this.#adapt(exchange) });
    // Any name will do for ssh2, which is stricter about it than OpenSSH is; what counts is what is signed.
    this.#protocol.parse(DUMMY, 0, DUMMY.length);
    this.#protocol._remoteIdentRaw = identification;
  }

  /** Bytes of the client, whose memory the transport may keep. Throws where the session is over. */
  receive(bytes: Buffer): void {
    if (this.#encrypted) {
      this.#protocol.parse(bytes, 0, bytes.length);
      return;
    }
    this.#clear = this.#clear.length === 0 ? bytes : Buffer.concat([this.#clear, bytes]);
    while (!this.#encrypted && this.#clear.length >= 4) {
      const length = this.#clear.readUInt32BE();
      if (length < 5 || length > LONGEST_PACKET) throw new SshRefusal('a packet of impossible length');
      if (this.#clear.length < 4 + length || !this.#inClear(this.#clear.subarray(0, 4 + length))) return;
      this.#clear = this.#clear.subarray(4 + length);
    }
    if (!this.#encrypted || this.#clear.length === 0) return;
    const rest = this.#clear;
    this.#clear = Buffer.alloc(0);
    this.#protocol.parse(rest, 0, rest.length);
  }

  /** RFC 4253, 7.2; empty before there are keys. */
  get sessionId(): Uint8Array {
    return this.#exchange?.sessionID ?? new Uint8Array(0);
  }

  /** Bytes that wait to be read. */
  get waiting(): number {
    return this.#clear.length;
  }

  send(payload: Uint8Array): void {
    const { write } = this.#protocol._packetRW;
    const packet = write.alloc(payload.length);
    packet.set(payload, write.allocStart);
    this.#host.library.sendPacket(this.#protocol, write.finalize(packet));
  }

  /** The client is let in: SSH_MSG_USERAUTH_SUCCESS leaves, and the compression that waited for it begins. */
  letIn(): void {
    this.#protocol._authsQueue.push('password');
    this.#protocol.authSuccess();
  }

  /** Gives back what it holds. Nothing may be called after. */
  close(): void {
    this.#protocol.cleanup();
  }

  /** A packet before the keys. False: it has to wait. */
  #inClear(packet: Buffer): boolean {
    const payload = packet.subarray(5, packet.length - (packet[4] ?? 0));
    const [type = 0] = payload;
    if (type >= FIRST_OF_EXCHANGE && type <= LAST_OF_EXCHANGE && !this.#events.admit()) return false;
    this.#events.progress();
    if (type > LAST_OF_EXCHANGE) this.#events.stray(Buffer.from(payload));
    if (type !== SSH_MSG_KEXINIT) {
      this.#protocol.parse(packet, 0, packet.length);
      return true;
    }
    const asked = this.#settle(payload, kexInit => this.#events.introduced(kexInit));
    const padding = 8 - ((5 + asked.length) % 8) + 8;
    const framed = Buffer.from(bytesOf(u32(1 + asked.length + padding), padding, asked, new Uint8Array(padding)));
    this.#protocol.parse(framed, 0, framed.length);
    return true;
  }

  #settle(payload: Buffer, introduced: (kexInit: KexInit) => void = () => {}): Uint8Array {
    const kexInit = parseKexInit(payload);
    if (!kexInit.ok) throw new SshRefusal(`KEXINIT: ${kexInit.why}`);
    introduced(kexInit.value);
    const settled = settle(payload, kexInit.value, this.#host.offer, Object.keys(this.#host.hostKeys));
    if (!settled.ok) throw new SshRefusal(`KEXINIT: ${settled.why}`, { malformed: false });
    this.#asked = { settled: settled.value, payload: Buffer.from(payload) };
    return settled.value.asked;
  }

  /** ssh2 has begun an exchange. */
  #adapt(exchange: Exchange): void {
    this.#exchange = exchange;
    if (++this.#exchanges > MOST_EXCHANGES || this.#asked === undefined) throw new SshRefusal('one key exchange after the other');
    const { settled, payload } = this.#asked;
    exchange._remoteKexinit = payload; // as it came: that is what is signed
    Object.defineProperty(exchange, 'remoteExtInfoEnabled', { get: () => false, set: () => {} }); // EXT_INFO is ours: see #complete
    this.#protocol._skipNextInboundPacket = settled.wrongGuess;
    if (settled.kex === HYBRID) makeHybrid(exchange);
    if (exchange.type === 'groupex') makeGroupExchange(exchange, { send: reply => this.#sendOfExchange(reply), retypeNext: type => this.#retypeNext(type) });
  }

  /** Sends while all else waits for the exchange. */
  #sendOfExchange(payload: Uint8Array): void {
    const { write } = this.#protocol._packetRW;
    const forced = write as unknown as {
      allocStartKEX: number;
      alloc(length: number, force: boolean): Buffer;
      finalize(packet: Buffer, force: boolean): Buffer;
    };
    const packet = forced.alloc(payload.length, true);
    packet.set(payload, forced.allocStartKEX);
    this.#protocol._cipher.encrypt(forced.finalize(packet, true));
  }

  #retypeNext(type: number): void {
    const cipher = this.#protocol._cipher;
    const encrypt = cipher.encrypt;
    cipher.encrypt = packet => {
      cipher.encrypt = encrypt;
      packet[5] = type;
      cipher.encrypt(packet);
    };
  }

  #complete(): void {
    if (this.#encrypted) return;
    this.#encrypted = true;
    const asked = this.#asked?.payload;
    const kexInit = asked === undefined ? undefined : parseKexInit(asked);
    if (kexInit?.ok === true && kexInit.value.kex.split(',').includes('ext-info-c')) {
      const { extensions } = this.#host.offer;
      const told = extensions.flatMap(([name, value]) => [u32(name.length), name, u32(value.length), value]);
      this.send(bytesOf(MESSAGE.extensions, u32(extensions.length), ...told));
    }
    this.#events.secured();
  }

  /** A decrypted packet. */
  #payload(payload: Buffer): unknown {
    this.#events.progress();
    const { read } = this.#protocol._packetRW;
    if (read._zlib !== undefined) read._zlib._maxOutputLength = LARGEST_INFLATED;
    const message = payload.length === 0 ? payload : read.read(payload);
    if (message[0] === SSH_MSG_KEXINIT) return this.#host.library.handlers[SSH_MSG_KEXINIT]?.(this.#protocol, Buffer.from(this.#settle(message)));
    if (message.length > 0) this.#events.message(Buffer.from(message), (this.#protocol._decipher.inSeqno - 1) >>> 0);
    return undefined;
  }
}
