import { type EnvelopeType, type KeyId, sealEnvelope } from '@honeymesh/intel/envelope';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { ownWordsIn } from '#enforcer/mesh/host/own-envelopes.ts';

const [ours, theirs] = ['0011223344556677' as KeyId, 'ffeeddccbbaa9988' as KeyId];
const signatures = { sign: () => new Uint8Array(64), verify: () => true };

function envelope(epoch: number, seq: number, kid = ours, type: EnvelopeType = 'intel'): Uint8Array {
  const by = { clusterId: new Uint8Array(16), secret: new Uint8Array(32), signatures };
  return sealEnvelope({ kid, epoch, seq, issuedAt: unixMs(1_000), ttlS: 60, type }, new Uint8Array(2), by);
}

test('of what was kept our own intel comes again, in the order of its numbers', () => {
  const kept = [envelope(2, 1), envelope(1, 9), envelope(1, 3, theirs), envelope(1, 4, ours, 'accusation'), new Uint8Array([1, 2]), envelope(1, 2)];
  expect(ownWordsIn(kept, ours).map(({ epoch, seq }) => [epoch, seq])).toEqual([
    [1, 2],
    [1, 9],
    [2, 1],
  ]);
});
