/**
 * TLS as an old server of the persona's speaks it: the handshake, and what comes and goes inside it. Its cost is bounded: a handshake takes a millisecond
 * or two of the loop that all traps share, so there are only so many a second, and only so many sessions in TLS at once.
 */
import { createSecureContext, TLSSocket } from 'node:tls';
import { emptyBucket, pour } from '@honeymesh/intel/bucket';
import { readClientHello } from '../protocols/client-hello.ts';
import type { Wire } from './wire.ts';

export interface TlsOptions {
  /** PEM. */
  readonly key: string;
  readonly certificate: string;
}

export interface TlsEvents {
  /** The handshake is done. */
  secured(): void;
  /** Bytes from inside, a view that is valid during the call only. */
  received(bytes: Uint8Array): void;
  /** It failed, or the peer ended it. `why`: a code of OpenSSL's or Node's, or nothing where the peer closed it in order. */
  over(why: string | undefined): void;
}

export interface TlsTalk {
  write(bytes: Uint8Array): void;
  /** Says goodbye; `done` when that has been handed to the wire. */
  end(done: () => void): void;
  /** Lets go of everything at once; nothing is called any more. */
  destroy(): void;
}

export interface TlsTerminator {
  /** Answers on `wire`, into which the ClientHello (`hello`) was not put yet. `undefined`: too many handshakes, or sessions in TLS. */
  answer(wire: Wire, hello: Uint8Array, events: TlsEvents, nowMs: number): TlsTalk | undefined;
  /** In TLS, or on the way to it. */
  count(): number;
}

export const MOST_HANDSHAKES = 256; // at once
export const MOST_IN_TLS = 512; // a session in TLS costs some 60 kB
/** A second: 166, a fifth of a core with RSA 2048. Those that come together hold the loop up for 20 ms at the most. */
const HANDSHAKES = { burst: 16, everyMs: 6 } as const;

/** OpenSSL's own up to 3.4: the personas have none that knows hybrid ones. */
const GROUPS = 'X25519:prime256v1:X448:secp521r1:secp384r1';
const ALPN_SPOKEN = 'http/1.1';

export function createTlsTerminator({ key, certificate }: TlsOptions): TlsTerminator {
  // SECLEVEL 0: TLS 1.0 and 1.1, SHA-1 and small keys, which is what the tools of scanners still speak.
  const secureContext = createSecureContext({
    key,
    cert: certificate,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.3',
    ciphers: 'DEFAULT:@SECLEVEL=0',
    ecdhCurve: GROUPS,
  });
  let bucket = emptyBucket;
  let handshakes = 0;
  let open = 0;

  return {
    count: () => open,
    answer(wire, hello, events, nowMs) {
      if (handshakes >= MOST_HANDSHAKES || open >= MOST_IN_TLS) return undefined;
      const poured = pour(bucket, HANDSHAKES, nowMs);
      if (!poured.admitted) return undefined;
      bucket = poured.bucket;
      handshakes++;
      open++;
      let secure = false;
      let over = false;
      const socket = new TLSSocket(wire, { isServer: true, secureContext, ...alpnFor(hello) });

      function settle(): boolean {
        if (over) return false;
        over = true;
        open--;
        if (!secure) handshakes--;
        return true;
      }
      function fail(why: string | undefined): void {
        if (!settle()) return;
        socket.destroy();
        events.over(why);
      }

      socket.on('secure', () => {
        if (over || secure) return;
        secure = true;
        handshakes--;
        events.secured();
      });
      socket.on('data', (bytes: Buffer) => {
        if (!over) events.received(bytes);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => fail(codeOf(error)));
      // Node's name for an error of the handshake on a server's socket.
      socket.on('_tlsError', (error: NodeJS.ErrnoException) => fail(codeOf(error)));
      socket.on('end', () => fail(undefined));
      socket.on('close', () => fail(undefined));
      wire.received(hello);

      return {
        write: bytes => void (over || socket.write(Buffer.from(bytes))),
        end(done) {
          if (!settle()) return;
          socket.end(done);
        },
        destroy() {
          settle();
          socket.destroy();
          wire.destroy();
        },
      };
    },
  };
}

/** A server without HTTP/2 says so only to who asked for what it has; an ALPN that it does not know is not its business. */
function alpnFor(hello: Uint8Array): { readonly ALPNProtocols?: string[] } {
  const read = readClientHello(hello);
  return read.ok && read.value.alpn.includes(ALPN_SPOKEN) ? { ALPNProtocols: [ALPN_SPOKEN] } : {};
}

/** Ours, not the attacker's words: a code, or nothing known. */
const codeOf = (error: NodeJS.ErrnoException): string => (/^[A-Z0-9_]{1,64}$/.test(error.code ?? '') ? (error.code ?? '') : 'ERR_TLS');
