/**
 * The cluster's keys, in order: the first (primary) encrypts and is tried first, the others still decrypt. Keys change without loss in three steps on every
 * member: add the new one, use it, remove the old one.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { copyOf, equal } from './bytes.ts';

export type KeyFault = 'key-size' | 'unknown-key' | 'primary-key';

const CIPHERS = { 16: 'aes-128-gcm', 24: 'aes-192-gcm', 32: 'aes-256-gcm' } as const;

export interface ClusterKey {
  readonly bytes: Uint8Array;
  readonly secret: KeyObject;
  readonly cipher: (typeof CIPHERS)[keyof typeof CIPHERS];
}

export interface Keyring {
  /** The primary first; none where nothing is encrypted. */
  readonly keys: readonly ClusterKey[];
  readonly primary: ClusterKey | null;
  /** Appends a key of 16, 24 or 32 bytes; one that is there already stays where it is. The first becomes the primary. */
  add(key: Uint8Array): Parsed<null, KeyFault>;
  /** Makes an installed key the primary. */
  use(key: Uint8Array): Parsed<null, KeyFault>;
  /** A key that is not there is removed already. The primary cannot be removed. */
  remove(key: Uint8Array): Parsed<null, KeyFault>;
  /** The keys in the order in which to try them on what `source` sent: the one that fitted last, then the ring's order. */
  inOrderFor(source: string | undefined): readonly ClusterKey[];
  /** `key` decrypted what `source` sent. */
  fitted(source: string | undefined, key: ClusterKey): void;
}

/** Sources whose last key is remembered. More than members that a ring under rotation can have; a hint that is lost costs one more decryption. */
const MOST_HINTS = 4096;

/** The primary first. Keys of another size than 16, 24 or 32 bytes throw RangeError: whoever configures them checks them with `add` first. */
export function createKeyring(initial: readonly Uint8Array[] = []): Keyring {
  let keys: readonly ClusterKey[] = [];
  const hints = new Map<string, ClusterKey>();
  const find = (bytes: Uint8Array): ClusterKey | undefined => keys.find(key => equal(key.bytes, bytes));

  const ring: Keyring = {
    get keys() {
      return keys;
    },
    get primary() {
      return keys[0] ?? null;
    },
    add(bytes) {
      const cipher = CIPHERS[bytes.length as keyof typeof CIPHERS];
      if (cipher === undefined) return unparsed('key-size');
      if (find(bytes) === undefined) keys = [...keys, { bytes: copyOf(bytes), secret: createSecretKey(bytes), cipher }];
      return parsed(null);
    },
    use(bytes) {
      const key = find(bytes);
      if (key === undefined) return unparsed('unknown-key');
      keys = [key, ...keys.filter(other => other !== key)];
      return parsed(null);
    },
    remove(bytes) {
      const key = find(bytes);
      if (key === undefined) return parsed(null);
      if (key === keys[0]) return unparsed('primary-key');
      keys = keys.filter(other => other !== key);
      for (const [source, hint] of hints) if (hint === key) hints.delete(source);
      return parsed(null);
    },
    inOrderFor(source) {
      const hint = source === undefined ? undefined : hints.get(source);
      return hint === undefined ? keys : [hint, ...keys.filter(key => key !== hint)];
    },
    fitted(source, key) {
      if (source === undefined) return;
      if (key === keys[0]) {
        hints.delete(source);
        return;
      }
      const [oldest] = hints.keys();
      if (hints.size >= MOST_HINTS && !hints.has(source) && oldest !== undefined) hints.delete(oldest);
      hints.set(source, key);
    },
  };
  for (const key of initial) if (!ring.add(key).ok) throw new RangeError(`a key of ${key.length} bytes`);
  return ring;
}
