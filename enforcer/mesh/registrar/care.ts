/**
 * What a member does about its certificate and keys by itself: renews at two thirds of the life, long before anybody would notice, and asks for the group's
 * keys where it may have slept through a rotation. Looks once a second; asks seldom, and at moments that differ from host to host.
 */
import { formatDuration, HOUR_MS, MINUTE_MS, rfc3339, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { NodeCertificate } from '../signed/certificates.ts';

export interface CareDeps {
  /** This host's certificate as it holds; null: it is no member. */
  readonly certificate: () => NodeCertificate | null;
  /** Whom to ask; null: nobody (then it is said when the end comes near). */
  readonly registrar: () => string | null;
  /** Resolves with null, or why not. */
  readonly renew: () => Promise<string | null>;
  /** Likewise; asked where no peer is reached. */
  readonly fetchKeys: () => Promise<string | null>;
  readonly isLonely: () => boolean;
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
/** A moment without peers is every restart's. */
const LONELY_MS = 15 * SECOND_MS;
const LONELY_AGAIN_MS = 5 * MINUTE_MS;
/** So much of the life, at most, for the hosts of one day to spread over. */
const JITTER = 1 / 24;

export function createCare({ certificate, registrar, renew, fetchKeys, isLonely, complain, recovered, now, draw }: CareDeps): Care {
  let jitter = draw();
  let of: NodeCertificate | null = null;
  let retryAt = 0;
  let retryMs = FIRST_RETRY_MS;
  let failure: string | null = null;
  let complained = false;
  let lonelySince: number | null = null;
  let askKeysAt = 0;
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
      const when = left <= 0 ? `ended at ${rfc3339(one.notAfter)}` : `ends in ${formatDuration(Math.ceil(left / HOUR_MS) * HOUR_MS)}`;
      const why = registrar() === null ? 'no registrar is known to this host' : `${registrar()}: ${failure}`;
      complain(
        `this host's certificate ${when} and is not renewed (${why})`,
        'mend what it says, or join anew: "honeymesh mesh join TOKEN" with a token of a registrar that runs',
      );
    } else if (complained) recovered();
    complained = near;
  }

  function lookAround(): void {
    if (!isLonely()) {
      lonelySince = null;
      return;
    }
    lonelySince ??= now();
    if (now() - lonelySince < LONELY_MS || now() < askKeysAt || underWay !== null || registrar() === null) return;
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
