/**
 * Whose word counts of what the hub passes on. Who is certified under this host's root speaks for itself, by this way as by any other; all else is together
 * one voice, the hub's. So a hub in an attacker's hands can hide and delay, and add one voice. Pure.
 */
import { decodeIntel } from '@honeymesh/intel/advisories';
import { type Envelope, expiryOf, isSignedBy, type KeyId, openEnvelope, type Signatures } from '@honeymesh/intel/envelope';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Speaker } from '../ledger/advice/advice.ts';
import type { LedgerInput } from '../ledger/decisions.ts';
import { readCertificate } from '../mesh/signed/certificates.ts';
import type { Roster } from '../mesh/signed/roster.ts';

export interface Judge {
  /** Registrars first, as they stand in an advisory. */
  learn(certificates: readonly Uint8Array[], now: UnixMs): void;
  /** One envelope of an advisory. Known ones cost nothing. */
  judge(bytes: Uint8Array, now: UnixMs): Judged;
}

export interface Judged {
  readonly inputs: readonly LedgerInput[];
  /** null: it was taken, or came before. */
  readonly refused: string | null;
}

export interface JudgeOptions {
  readonly clusterId: Uint8Array;
  /** This host's own: its words are no news to it. */
  readonly kid: KeyId;
  readonly mostRemembered?: number;
}

const MOST_REMEMBERED = 65_536;
const NOTHING: Judged = { inputs: [], refused: null };
const refused = (why: string): Judged => ({ inputs: [], refused: why });

export function createJudge(
  { clusterId, kid, mostRemembered = MOST_REMEMBERED }: JudgeOptions,
  { roster, signatures }: { readonly roster: Roster; readonly signatures: Pick<Signatures, 'verify'> },
): Judge {
  /** Taken already, oldest first. */
  const seen = new Set<string>();

  function speakerOf(envelope: Envelope, now: UnixMs): Speaker | string {
    const found = roster.node(envelope.kid, now);
    if (found.ok) {
      if (!isSignedBy(envelope, found.value.edPublic, clusterId, signatures)) return 'bad-signature';
      return { signer: envelope.kid, certified: true, site: found.value.site, path: 'hub' };
    }
    return found.why === 'revoked' ? 'revoked' : { signer: envelope.kid, certified: false, site: null, path: 'hub' };
  }

  return {
    learn(certificates, now) {
      for (const bytes of certificates) {
        const read = readCertificate(bytes);
        if (read.ok) roster.learn(read.value, now);
      }
    },
    judge(bytes, now) {
      const opened = openEnvelope(bytes);
      if (!opened.ok) return refused(opened.why);
      const envelope = opened.value;
      const { epoch, seq, issuedAt } = envelope;
      if (envelope.kid === kid) return NOTHING;
      if (envelope.type !== 'intel') return refused('not-intel');
      if (expiryOf(envelope) <= now) return refused('expired');
      const name = `${envelope.kid} ${epoch} ${seq}`;
      if (seen.has(name)) return NOTHING;
      const speaker = speakerOf(envelope, now);
      if (typeof speaker === 'string') return refused(speaker);
      const intel = decodeIntel(envelope.body);
      if (!intel.ok) return refused(intel.why);
      // Without a certificate it may be anybody's: the true one, which may come after it, is not held up by it.
      if (speaker.certified) {
        seen.add(name);
        if (seen.size > mostRemembered) for (const oldest of seen) if (seen.delete(oldest)) break;
      }
      const said = { ...speaker, issuedAt };
      const endsAt = expiryOf(envelope);
      return {
        refused: null,
        // As in the mesh: one envelope may take back what another said, and say it anew.
        inputs: [
          ...intel.value.withdrawals.flatMap(({ epoch: of, seq: sequence, asError, targets }): readonly LedgerInput[] =>
            (targets.length === 0 ? [null] : targets).map(target => ({ kind: 'withdrawal', withdrawal: { ...said, epoch: of, sequence, target, asError } })),
          ),
          ...intel.value.advice.map(({ target, tier, reasons, ttlS }): LedgerInput => {
            const expiresAt = unixMs(Math.min(issuedAt + ttlS * SECOND_MS, endsAt));
            return { kind: 'advice', advice: { ...said, epoch, sequence: seq, expiresAt, target, tier, reasons } };
          }),
        ],
      };
    },
  };
}
