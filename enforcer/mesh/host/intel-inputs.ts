/** What HM1 delivers, as the ledger takes it. Pure. */
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import type { Speaker } from '../../ledger/advice/advice.ts';
import type { LedgerInput } from '../../ledger/decisions.ts';
import type { LayerOutput } from '../signed/signed-layer.ts';

type Intel = Extract<LayerOutput, { kind: 'intel' }>;

/** Withdrawals first: one envelope may take back what another said, and say it anew. What we said ourselves is no news to our ledger. */
export function inputsOfIntel({ kid, signer, own, epoch, seq, issuedAt, endsAt, advice, withdrawals }: Intel): readonly LedgerInput[] {
  if (own) return [];
  const speaker: Speaker = { signer: kid, certified: true, site: signer.site, path: 'mesh' };
  const takenBack = withdrawals.flatMap(({ epoch: of, seq: sequence, asError, whole, targets }): readonly LedgerInput[] =>
    (whole ? [null] : targets).map(target => ({ kind: 'withdrawal', withdrawal: { ...speaker, epoch: of, sequence, issuedAt, target, asError } })),
  );
  const advised = advice.map(({ target, tier, reasons, ttlS }): LedgerInput => {
    const expiresAt = unixMs(Math.min(issuedAt + ttlS * SECOND_MS, endsAt));
    return { kind: 'advice', advice: { ...speaker, epoch, sequence: seq, issuedAt, expiresAt, target, tier, reasons } };
  });
  return [...takenBack, ...advised];
}

/** Of all that a layer puts out; most of it is none of the ledger's business. */
export function ledgerInputsOf(output: LayerOutput): readonly LedgerInput[] {
  switch (output.kind) {
    case 'intel':
      return inputsOfIntel(output);
    case 'misuse':
      // A registrar has no vote that it could lose; the operator is told.
      return output.signer.kind === 'node' ? [{ kind: 'misconduct', signer: output.signer.kid }] : [];
    case 'revoked':
      return [{ kind: 'revoked', signer: output.kid }];
    default:
      return [];
  }
}
