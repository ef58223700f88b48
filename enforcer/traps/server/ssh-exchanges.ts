/** The key exchanges that OpenSSH's server has and ssh2's has not: the hybrid of NTRU Prime and curve25519, and groups chosen by the server (RFC 4419). */
import { createDiffieHellmanGroup, hash, randomBytes } from 'node:crypto';
import { ByteReader, bytesOf, u32 } from '../protocols/bytes.ts';
import { CIPHERTEXT_BYTES, encapsulate, PUBLIC_KEY_BYTES, RANDOM_BYTES } from './ssh-sntrup761.ts';

/** An exchange of ssh2, as far as this file changes it. */
export interface Exchange {
  type: string;
  hashName: string;
  _dh: ReturnType<typeof createDiffieHellmanGroup> | null;
  _public: Buffer | null;
  _minBits: number;
  _prefBits: number;
  _maxBits: number;
  _remoteKexinit: Uint8Array;
  /** The hash of the first exchange. */
  readonly sessionID: Buffer;
  parse(payload: Buffer): unknown;
  getPublicKey(): Buffer;
  convertPublicKey(key: Buffer): Buffer;
  computeSecret(other: Buffer): Buffer | Error;
}

/** What it is part of: how it sends. */
export interface ExchangeEnd {
  send(payload: Uint8Array): void;
  /** The next packet that ssh2 sends is of this type instead. */
  retypeNext(type: number): void;
}

const CURVE_KEY_BYTES = 32;

/** Makes the hybrid of ssh2's exchange on curve25519: sntrup761x25519-sha512@openssh.com (draft-josefsson-ntruprime-ssh). */
export function makeHybrid(exchange: Exchange, draw: (bytes: number) => Uint8Array = randomBytes): void {
  const curve = { publicKey: exchange.getPublicKey.bind(exchange), secret: exchange.computeSecret.bind(exchange) };
  let ciphertext: Buffer | undefined;
  exchange.hashName = 'sha512';
  exchange.convertPublicKey = key => key;
  exchange.computeSecret = other => {
    if (other.length !== PUBLIC_KEY_BYTES + CURVE_KEY_BYTES) return new Error('a public key of the wrong length');
    const kem = encapsulate(other.subarray(0, PUBLIC_KEY_BYTES), draw(RANDOM_BYTES));
    const shared = curve.secret(other.subarray(PUBLIC_KEY_BYTES));
    if (shared instanceof Error) return shared;
    ciphertext = kem.ciphertext;
    return hash('sha512', Buffer.concat([kem.sharedKey, thirtyTwo(shared)]), 'buffer');
  };
  exchange.getPublicKey = () => Buffer.concat([ciphertext ?? Buffer.alloc(CIPHERTEXT_BYTES), curve.publicKey()]);
}

/** ssh2 gives the curve's secret as a number (mpint): without leading zeros, with one where the first bit is set. The hybrid takes it as it is. */
function thirtyTwo(mpint: Buffer): Buffer {
  const bytes = Buffer.alloc(CURVE_KEY_BYTES);
  mpint.subarray(-CURVE_KEY_BYTES).copy(bytes, CURVE_KEY_BYTES - Math.min(mpint.length, CURVE_KEY_BYTES));
  return bytes;
}

const KEXDH_INIT = 30;
const GEX_GROUP = 31;
const GEX_INIT = 32;
const GEX_REPLY = 33;
const GEX_REQUEST = 34;
const LEAST_BITS = 2048; // DH_GRP_MIN of OpenSSH
const MOST_BITS = 8192;
/** What OpenSSH falls back to without its list of moduli: groups of RFC 3526. Others would have to be tested for being prime, which takes seconds. */
const GROUPS = [
  { bits: 2048, name: 'modp14' },
  { bits: 3072, name: 'modp15' },
  { bits: 4096, name: 'modp16' },
  { bits: 8192, name: 'modp18' },
] as const;

/** Adds the server's side to ssh2's group exchange, which has the client's only. */
export function makeGroupExchange(exchange: Exchange, end: ExchangeEnd): void {
  const base: Exchange = Object.getPrototypeOf(Object.getPrototypeOf(exchange));
  exchange.parse = payload => {
    if (payload[0] === GEX_REQUEST && exchange._dh === null) {
      const reader = new ByteReader(payload.subarray(1));
      const [least, wanted, most] = [reader.u32(), reader.u32(), reader.u32()];
      const bits = { least: Math.max(least, LEAST_BITS), most: Math.min(most, MOST_BITS) };
      if (reader.truncated || least > wanted || wanted > most || bits.least > bits.most) throw new Error('a group exchange out of bounds');
      const dh = createDiffieHellmanGroup(groupFor(Math.min(wanted, bits.most), bits.most));
      exchange._dh = dh;
      exchange._public = dh.generateKeys();
      [exchange._minBits, exchange._prefBits, exchange._maxBits] = [least, wanted, most];
      end.send(bytesOf(GEX_GROUP, mpint(dh.getPrime()), mpint(dh.getGenerator())));
      return undefined;
    }
    if (payload[0] !== GEX_INIT || exchange._dh === null) throw new Error('a group exchange out of order');
    payload[0] = KEXDH_INIT;
    end.retypeNext(GEX_REPLY);
    exchange.parse = base.parse;
    return exchange.parse(payload);
  };
}

function groupFor(wanted: number, most: number): string {
  const group = GROUPS.find(({ bits }) => bits >= wanted && bits <= most) ?? GROUPS.findLast(({ bits }) => bits <= most);
  return group?.name ?? 'modp14';
}

function mpint(number: Buffer): Uint8Array {
  const bytes = number.subarray(number.findIndex(byte => byte !== 0));
  const padded = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return bytesOf(u32(padded.length), padded);
}
