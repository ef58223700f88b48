import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { inputsOfIntel, ledgerInputsOf } from '#enforcer/mesh/host/intel-inputs.ts';
import type { LayerOutput } from '#enforcer/mesh/signed/signed-layer.ts';
import { advice, NOON, prefix, real, trust } from '#test/support/hm1.ts';

const trusted = trust(real);
const signer = trusted.host('alba', 'lab').certificate;
type Intel = Extract<LayerOutput, { kind: 'intel' }>;
const intel = (more: Partial<Intel>): Intel => ({
  kind: 'intel',
  kid: signer.kid,
  signer,
  own: false,
  epoch: 3,
  seq: 8,
  issuedAt: NOON,
  endsAt: unixMs(NOON + 600_000),
  advice: [],
  withdrawals: [],
  ...more,
});
const speaker = { signer: signer.kid, certified: true, site: 'lab', path: 'mesh' };

describe('what a peer says becomes, for the ledger,', () => {
  test('withdrawals first, then advice, one input for each target', () => {
    const inputs = inputsOfIntel(
      intel({
        advice: [advice('203.0.113.7/32', { ttlS: 60 }), advice('2001:db8::/48', { tier: 'E2', reasons: ['trap-touch'] })],
        withdrawals: [
          { epoch: 3, seq: 7, asError: true, whole: false, targets: [prefix('198.51.100.1/32'), prefix('198.51.100.2/32')] },
          { epoch: 2, seq: 9, asError: false, whole: true, targets: [prefix('198.51.100.3/32')] },
        ],
      }),
    );
    expect(inputs).toEqual([
      { kind: 'withdrawal', withdrawal: { ...speaker, epoch: 3, sequence: 7, issuedAt: NOON, target: '198.51.100.1/32', asError: true } },
      { kind: 'withdrawal', withdrawal: { ...speaker, epoch: 3, sequence: 7, issuedAt: NOON, target: '198.51.100.2/32', asError: true } },
      { kind: 'withdrawal', withdrawal: { ...speaker, epoch: 2, sequence: 9, issuedAt: NOON, target: null, asError: false } },
      // Its own life, or the envelope's where that is shorter.
      {
        kind: 'advice',
        advice: { ...speaker, epoch: 3, sequence: 8, issuedAt: NOON, expiresAt: NOON + 60_000, target: '203.0.113.7/32', tier: 'E1', reasons: ['trap-touch'] },
      },
      {
        kind: 'advice',
        advice: { ...speaker, epoch: 3, sequence: 8, issuedAt: NOON, expiresAt: NOON + 600_000, target: '2001:db8::/48', tier: 'E2', reasons: ['trap-touch'] },
      },
    ]);
  });

  test('nothing, where this host said it', () => {
    expect(inputsOfIntel(intel({ own: true, advice: [advice('203.0.113.7/32')] }))).toEqual([]);
  });

  test('misconduct of a host and a revocation, and no other output is any of its business', () => {
    const proof = [new Uint8Array(), new Uint8Array()] as const;
    expect(ledgerInputsOf({ kind: 'misuse', why: 'too-fast', signer, proof })).toEqual([{ kind: 'misconduct', signer: signer.kid }]);
    expect(ledgerInputsOf({ kind: 'misuse', why: 'two-contents', signer: trusted.registrar, proof })).toEqual([]);
    expect(ledgerInputsOf({ kind: 'revoked', kid: signer.kid, node: 'alba' })).toEqual([{ kind: 'revoked', signer: signer.kid }]);
    expect(ledgerInputsOf({ kind: 'left', node: 'alba', incarnation: 1 })).toEqual([]);
  });
});
