/** Of what was kept, our own words: who carries them to the hub may have died before they were on its disk. */
import { type KeyId, openEnvelope } from '@honeymesh/intel/envelope';
import type { MeshWord } from '../port.ts';

/** In the order of their numbers. */
export function ownWordsIn(kept: readonly Uint8Array[], kid: KeyId): readonly Extract<MeshWord, { kind: 'own-envelope' }>[] {
  return kept
    .flatMap(bytes => {
      const opened = openEnvelope(bytes);
      if (!opened.ok || opened.value.kid !== kid || opened.value.type !== 'intel') return [];
      return [{ kind: 'own-envelope', epoch: opened.value.epoch, seq: opened.value.seq, bytes } as const];
    })
    .sort((one, other) => one.epoch - other.epoch || one.seq - other.seq);
}
