/** The group keys in use, their generation, and the steps of a rotation. Keys leave this host in no way but sealed; people see hashes of them. */
import { hexOf, latin1Bytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { nameOfKey } from '../node/envelope.ts';
import type { MeshKeys } from '../port.ts';
import { createKeyring, type Keyring } from '../protocol/wire/keyring.ts';
import type { KeyStep } from '../signed/key-schedule.ts';
import { createKeySchedule } from '../signed/key-schedule.ts';
import { sha256 } from '../signed/keys.ts';
import type { NonceMemory } from '../signed/nonce-memory.ts';

export interface Ring {
  readonly keyring: Keyring;
  keys(): MeshKeys;
  /** Primary first. */
  ids(): readonly string[];
  /** True where it changed something. */
  step(step: KeyStep): boolean;
  /** Where there is no layer that schedules: the steps to a ring that was handed over. */
  stepsTo(keys: MeshKeys): readonly KeyStep[];
}

const ID_DOMAIN = latin1Bytes('HoneyMesh group key id\0');
const ID_BYTES = 4;

export const keyIdOf = (key: Uint8Array): string => hexOf(sha256(writeBytes().bytes(ID_DOMAIN).bytes(key).take()).subarray(0, ID_BYTES));

/** Throws a RangeError on a key of another size than 16, 24 or 32 bytes. */
export function createRing(held: MeshKeys, nonces: NonceMemory): Ring {
  const keyring = createKeyring(held.keys);
  let { generation } = held;

  function use(key: Uint8Array, next: number): boolean {
    if (!keyring.use(key).ok) return false;
    generation = next;
    return true;
  }

  function remove(key: Uint8Array): boolean {
    const before = keyring.keys.length;
    keyring.remove(key);
    if (keyring.keys.length === before) return false;
    nonces.forgetKey(nameOfKey({ bytes: key }));
    return true;
  }

  const keys = (): MeshKeys => ({ keys: keyring.keys.map(key => key.bytes), generation });
  return {
    keyring,
    keys,
    ids: () => keyring.keys.map(key => keyIdOf(key.bytes)),
    step(step) {
      if (step.kind === 'add-key') return keyring.add(step.key).ok;
      return step.kind === 'use-key' ? use(step.key, step.generation) : remove(step.key);
    },
    stepsTo: wanted => createKeySchedule(keys()).adopt(wanted),
  };
}
