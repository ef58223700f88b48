/**
 * What a member does about its certificate and keys by itself: renews at two thirds of the life, long before anybody would notice, and asks for the group's
 * keys where it may have slept through a rotation. Looks once a second; asks seldom, and at moments that differ from host to host.
 */
import { HOUR_MS, MINUTE_MS, rfc3339, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { NodeCertificate } from '../signed/certificates.ts';

export interface CareDeps {
  /** This host's certificate as it holds; null: it is no member. */
  readonly certificate: () => NodeCertificate | null;
  /** Whom to ask; null: nobody (then it is said when the end comes near). */
  readonly registrar: () => string | null;
  /** Resolves with null, or why not. */
  readonly renew: () => Promise<string | null>;
  /** Likewise; asked where no peer is reached, or hardly one understood. */
  readonly fetchKeys: () => Promise<string | null>;
  readonly isLonely: () => boolean;
  /** Datagrams since the member began, and those of them that it could not take: most of them, where it lacks a key. */
  readonly heard: () => { readonly datagrams: number; readonly refused: number } | null;
  readonly complain: (why: string, fix: string) => void;
  readonly recovered: () => void;
  readonly now: () => UnixMs;
  /** 0 to 1. */
  readonly draw: () => number;
}

export interface Care {
  /** Every second. */
  tick(): void;
  renewsAt(): UnixMs | null;
  lastFailure(): string | null;
  /** Resolves when nothing is under way any more. */
  settled(): Promise<void>;
}

const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [MINUTE_MS, HOUR_MS];
/** A moment without peers is every restart's: a join takes less. */
const LONELY_MS = 4 * SECOND_MS;
const LONELY_AGAIN_MS = 5 * MINUTE_MS;
/** A rotation that was missed shows within seconds: what is not understood is more than half, and no single stray. */
const LISTEN_MS = 5 * SECOND_MS;
const LEAST_REFUSED = 5;
/** So much of the life, at most, for the hosts of one day to spread over. */
const JITTER = 1 / 24;

export function createCare({ certificate, registrar, renew, fetchKeys, isLonely, heard, complain, recovered, now, draw }: CareDeps): Care {
  let jitter = draw();
  let of: NodeCertificate | null = null;
  let retryAt = 0;
  let retryMs = FIRST_RETRY_MS;
  let failure: string | null = null;
  let complained = false;
  let lonelySince: number | null = null;
  let askKeysAt = 0;
  let before: { readonly at: number; readonly datagrams: number; readonly refused: number } | null = null;
  let underWay: Promise<void> | null = null;

  const lifeOf = ({ notBefore, notAfter }: NodeCertificate): number => notAfter - notBefore;
  const dueAt = (one: NodeCertificate): UnixMs => unixMs(one.notBefore + lifeOf(one) * (2 / 3 + jitter * JITTER));

  function run(job: () => Promise<void>): void {
    underWay ??= job().finally(() => {
      underWay = null;
    });
  }

  async function renewing(): Promise<void> {
    failure = await renew();
    if (failure === null) {
      retryMs = FIRST_RETRY_MS;
      return;
    }
    retryAt = now() + retryMs * (0.75 + draw() / 2);
    retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
  }

  function lookAtEnd(one: NodeCertificate): void {
    const left = one.notAfter - now();
    const near = left < lifeOf(one) / 4 && (failure !== null || registrar() === null);
    if (near) {
      const when = `${left <= 0 ? 'ended' : 'ends'} at ${rfc3339(one.notAfter)}`;
      const why = registrar() === null ? 'no registrar is known to this host' : `${registrar()}: ${failure}`;
      complain(
        `this host's certificate ${when} and is not renewed (${why})`,
        'mend what it says, or join anew: "honeymesh mesh join TOKEN" with a token of a registrar that runs',
      );
    } else if (complained) recovered();
    complained = near;
  }

  /** Looks back over some seconds, once in them. */
  function isDeaf(): boolean {
    const counts = heard();
    if (counts === null) {
      before = null;
      return false;
    }
    if (before !== null && now() - before.at < LISTEN_MS) return false;
    const last = before;
    before = { at: now(), ...counts };
    if (last === null || counts.datagrams < last.datagrams) return false;
    const refused = counts.refused - last.refused;
    return refused >= LEAST_REFUSED && refused * 2 > counts.datagrams - last.datagrams;
  }

  function isAlone(): boolean {
    lonelySince = isLonely() ? (lonelySince ?? now()) : null;
    return lonelySince !== null && now() - lonelySince >= LONELY_MS;
  }

  function lookAround(): void {
    const [deaf, alone] = [isDeaf(), isAlone()];
    if ((!deaf && !alone) || now() < askKeysAt || underWay !== null || registrar() === null) return;
    askKeysAt = now() + LONELY_AGAIN_MS * (0.75 + draw() / 2);
    run(async () => {
      await fetchKeys();
    });
  }

  return {
    tick() {
      const one = certificate();
      if (one === null) {
        if (complained) recovered();
        complained = false;
        of = null;
        return;
      }
      if (of === null || of.notAfter !== one.notAfter) {
        of = one;
        jitter = draw();
        failure = null;
        retryAt = 0;
      }
      if (now() >= dueAt(one) && now() >= retryAt && registrar() !== null) run(renewing);
      lookAtEnd(one);
      lookAround();
    },
    renewsAt: () => (of === null ? null : dueAt(of)),
    lastFailure: () => failure,
    async settled() {
      await underWay;
    },
  };
}
