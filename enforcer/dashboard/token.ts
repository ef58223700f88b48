/** The dashboard's token: 256 random bits as 64 hexadecimal digits. Only its SHA-256 is kept; the token itself is told once. */
import { createHash, timingSafeEqual } from 'node:crypto';

export const TOKEN_BYTES = 32;

/** A token's SHA-256. A fast hash is right here: nobody searches 256 random bits. */
export type TokenHash = Uint8Array;

const FORM = /^[0-9a-f]{64}$/;

export const tokenOf = (random: (bytes: number) => Uint8Array): string => Buffer.from(random(TOKEN_BYTES)).toString('hex');

export const hashOf = (token: string): TokenHash => Uint8Array.from(createHash('sha256').update(token, 'latin1').digest());

/**
 * Whether a token has this hash. Both sides are 32 bytes before they are compared, whatever was given, and the comparison looks at all of them
 * (CRYPTO_memcmp): what it takes tells nothing of where they differ.
 */
export const holdsToken = (given: string, hash: TokenHash): boolean => timingSafeEqual(hashOf(given), hash);

/** For people who paste half of one: says nothing about whether it is right. */
export const hasTokenForm = (text: string): boolean => FORM.test(text);

interface Carriers {
  readonly authorization: string | undefined;
  readonly 'x-honeymesh-token': string | undefined;
  /** `?token=`: only where a browser downloads, which can set no header. */
  readonly query: string | undefined;
}

/** A longer one is none of ours, and is not hashed either. */
const LONGEST = 256;

/** What was presented as a token; undefined: nothing was. The first carrier that says something counts, so that a guess costs one comparison. */
export function presentedToken({ authorization, query, ...headers }: Carriers): string | undefined {
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization.slice(0, LONGEST + 16))?.[1];
  return (bearer ?? headers['x-honeymesh-token'] ?? query)?.slice(0, LONGEST);
}
