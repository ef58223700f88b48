/**
 * The words that were kept, taken in again after a start: each is judged like anybody's and costs a signature check, so it goes a little at a time. Until
 * all are in, what waits is written again with the rest: a second crash must not lose it.
 */
import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';
import { isEnvelope } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';
import type { SignedLayer } from '../signed/signed-layer.ts';
import type { Runner } from './runner.ts';

export interface Restoring {
  /** Resolves when all is in, or `signal` says stop. */
  run(layer: SignedLayer, signal: AbortSignal): Promise<void>;
  /** Not in yet. */
  waiting(): readonly Uint8Array[];
}

const CERTIFICATES_AT_ONCE = 64;
/** Of what the layer's inbox holds. */
const ENVELOPES_AT_ONCE = 1_024;
const LOOK_AGAIN_MS = 20;

export function createRestoring(kept: readonly Uint8Array[], runner: Runner, now: () => UnixMs): Restoring {
  const certificates = kept.filter(bytes => !isEnvelope(bytes));
  let envelopes = kept.filter(isEnvelope);

  async function certificatesFirst(layer: SignedLayer, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < certificates.length && !signal.aborted; at += CERTIFICATES_AT_ONCE) {
      const learnt = layer.learn(certificates.slice(at, at + CERTIFICATES_AT_ONCE), [], 'kept', now());
      // What of them does not hold any more is no news.
      runner.later(learnt.filter(output => output.kind !== 'refused'));
      await nextRound();
    }
  }

  return {
    waiting: () => envelopes,
    async run(layer, signal) {
      await certificatesFirst(layer, signal);
      while (envelopes.length > 0 && !signal.aborted) {
        runner.later(layer.restore(envelopes.slice(0, ENVELOPES_AT_ONCE), now()));
        while (layer.waiting > 0 && !signal.aborted) await sleep(LOOK_AGAIN_MS);
        if (!signal.aborted) envelopes = envelopes.slice(ENVELOPES_AT_ONCE);
      }
    },
  };
}
