/** memberlist's golden bytes (test/vectors), and what their file says of keys and nonces. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Release = '0.2.2' | '0.5.0' | '0.7.0';

export interface Capture {
  readonly what?: string;
  readonly label: string;
  readonly key_hex: string;
  readonly udp: readonly { readonly from: string; readonly to: string; readonly hex: string }[];
}

export interface StreamCapture extends Capture {
  readonly protocol: number;
  readonly compression: boolean;
  readonly streams: readonly {
    readonly what: string;
    readonly from: string;
    readonly client_to_server: string;
    readonly server_to_client: string;
  }[];
}

export interface Decoded {
  readonly hex: string;
  readonly into: 'alive' | 'pushPullHeader' | 'indirectPing' | 'ack';
  readonly what: string;
  /** Go's %+v of the struct, or error. */
  readonly 'v0.5.5': string;
  readonly v2: string;
}

const read = (name: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(`../vectors/${name}.json`, import.meta.url)), 'utf8'));

export const vectorsOf = (release: Release): Readonly<Record<string, string>> => read(`memberlist-${release}`) as Record<string, string>;
export const captures = read('memberlist-0.7.0-captures') as readonly StreamCapture[];
export const oldCapture = read('memberlist-0.5.0-capture') as Capture & {
  readonly tcp_join_client_to_server: string;
  readonly tcp_join_server_to_client: string;
};
export const decodings = (read('memberlist-0.7.0-tables') as { readonly decode: readonly Decoded[] }).decode;

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** 00 01 02 and so on. */
export const countedKey = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at);
/** Of all that is encrypted in the vectors of 0.7.0. */
export const VECTOR_NONCE = fromHex('a0a1a2a3a4a5a6a7a8a9aaab');
