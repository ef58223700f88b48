/** The token as it lies on the disk: its hash, since when, and for a while the one before it. A new one counts when it is kept; the old one is then dead at once. */
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import * as z from 'zod';
import { HoneyMeshError } from '../errors.ts';
import { readBounded, replaceFile, setAside } from '../mesh/state/files.ts';
import { hashOf, holdsToken, type TokenHash, tokenOf } from './token.ts';

/** Which token was presented; it may end while a stream of its bearer is open. */
export type TokenNumber = number & { readonly __brand: 'TokenNumber' };

export interface Rotated {
  /** Told once. */
  readonly token: string;
  /** Until when the former one holds; null: it ended with this. */
  readonly formerUntil: UnixMs | null;
}

export interface TokenKeeper {
  /** Reads what is kept, or makes the first one: it is returned then, once. */
  open(): Promise<string | null>;
  /** Compares with all that hold, whatever comes out: null for a wrong one. */
  check(given: string): TokenNumber | null;
  holds(number: TokenNumber): boolean;
  /** `graceMs`: so long the former token holds, too. Rejects with HM_STORE_READ_ONLY where it cannot be kept; then nothing has changed. */
  rotate(graceMs: number): Promise<Rotated>;
  state(): { readonly since: UnixMs; readonly formerUntil: UnixMs | null };
  /** Called after each rotation, and when a former token has ended. */
  onChange(changed: () => void): void;
  /** What was damaged when it was opened. */
  readonly damaged: { readonly why: string; readonly fix: string } | null;
}

export interface TokenKeeperOptions {
  /** <state>/dashboard */
  readonly directory: string;
}

const FILE = 'token.json';
const LONGEST_FILE = 4_096;
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const at = z
  .int()
  .min(0)
  .transform(ms => unixMs(ms));
const fileSchema = z.object({ version: z.literal(1), sha256: hex, since: at, former: z.object({ sha256: hex, until: at }).nullable() });

interface Kept {
  readonly number: TokenNumber;
  readonly hash: TokenHash;
  readonly since: UnixMs;
  readonly former: { readonly number: TokenNumber; readonly hash: TokenHash; readonly until: UnixMs } | null;
}

/** Nobody has it: compared with where there is no token, so that the work is the same. */
const NOBODYS: TokenHash = Uint8Array.from(randomBytes(32));

export function createTokenKeeper(
  { directory }: TokenKeeperOptions,
  { now, random }: { readonly now: () => UnixMs; readonly random: (bytes: number) => Uint8Array },
): TokenKeeper {
  const path = join(directory, FILE);
  const listeners: (() => void)[] = [];
  let last = 0;
  let kept: Kept | null = null;
  let damaged: TokenKeeper['damaged'] = null;
  /** Rotations, one after another: of two at once both would answer with a token, and one of them be dead. */
  let turn: Promise<unknown> = Promise.resolve();

  const nextNumber = (): TokenNumber => ++last as TokenNumber;
  const formerHolds = (): boolean => kept !== null && kept.former !== null && kept.former.until > now();

  async function write({ hash, since, former }: Kept): Promise<void> {
    const file = { version: 1, sha256: hexOf(hash), since, former: former === null ? null : { sha256: hexOf(former.hash), until: former.until } };
    try {
      await replaceFile(path, `${JSON.stringify(file)}\n`, { ownFolder: true });
    } catch (error) {
      throw new HoneyMeshError('HM_STORE_READ_ONLY', `the token cannot be kept: ${(error as Error).message}`, {
        fix: `see that ${directory} can be written; the former token holds until then`,
        cause: error,
      });
    }
  }

  async function make(former: Kept['former']): Promise<string> {
    const token = tokenOf(random);
    const next: Kept = { number: nextNumber(), hash: hashOf(token), since: now(), former };
    await write(next);
    kept = next;
    return token;
  }

  async function read(): Promise<Kept | null> {
    const bytes = await readBounded(path, LONGEST_FILE);
    if (!bytes.ok && bytes.why === 'absent') return null;
    const file = bytes.ok ? fileSchema.safeParse(jsonOf(bytes.value.toString('utf8'))) : undefined;
    if (file?.success === true) {
      const { sha256, since, former } = file.data;
      return {
        number: nextNumber(),
        hash: bytesOf(sha256),
        since,
        former: former === null ? null : { number: nextNumber(), hash: bytesOf(former.sha256), until: former.until },
      };
    }
    const aside = await setAside(path, new Date(now())).catch(() => null);
    damaged = {
      why: `the file of the dashboard's token was damaged${aside === null ? '' : `, and set aside as ${basename(aside)}`}: the token that you have is dead`,
      fix: '"honeymesh token rotate" makes a new one and shows it',
    };
    return null;
  }

  return {
    async open() {
      kept = await read();
      return kept === null ? make(null) : null;
    },
    check(given) {
      const current = holdsToken(given, kept?.hash ?? NOBODYS);
      const former = holdsToken(given, formerHolds() ? (kept?.former?.hash ?? NOBODYS) : NOBODYS);
      if (kept !== null && current) return kept.number;
      return former ? (kept?.former?.number ?? null) : null;
    },
    holds: number => number === kept?.number || (formerHolds() && number === kept?.former?.number),
    rotate(graceMs) {
      const rotating = turn
        .catch(() => undefined)
        .then(async () => {
          const until = unixMs(now() + graceMs);
          const former = kept === null || graceMs <= 0 ? null : { number: kept.number, hash: kept.hash, until };
          const token = await make(former);
          for (const changed of listeners) changed();
          return { token, formerUntil: former?.until ?? null };
        });
      turn = rotating;
      return rotating;
    },
    state: () => ({ since: kept?.since ?? now(), formerUntil: formerHolds() ? (kept?.former?.until ?? null) : null }),
    onChange: changed => void listeners.push(changed),
    get damaged() {
      return damaged;
    },
  };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
