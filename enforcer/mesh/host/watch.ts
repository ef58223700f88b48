/** What goes wrong slowly, or elsewhere: a certificate that ends, a clock that is wrong, a key that was used too often, a firewall that lets half through. */
import { MINUTE_MS, rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { NodeCertificate } from '../signed/certificates.ts';
import type { Complaints } from './complaints.ts';
import { shownName } from './neighbours.ts';

export interface WatchFacts {
  readonly now: UnixMs;
  readonly certificate: NodeCertificate | null;
  /** By this host under the primary key, and who else does so. */
  readonly encrypted: number;
  readonly members: number;
  /** What peers are told, where no interface has it any more; null: it is there, or was told to us. */
  readonly goneAddress: string | null;
}

export interface Watch {
  /** Signed by `who`, ahead of our time by more than honest clocks are. */
  fromTheFuture(who: string, now: UnixMs): void;
  /** The socket's, or of what the member remembers. */
  trouble(message: string, now: UnixMs): void;
  udpBlocked(name: string, now: UnixMs): void;
  /** It answered over UDP, or is gone. */
  udpWorks(name: string): void;
  tick(facts: WatchFacts): void;
}

/** Renewal is due at two thirds of the life; below a quarter it has failed for a week. */
const LATE_SHARE = 0.25;
/** Half of what NIST allows with random nonces (SP 800-38D: 2^32 for a key), of all members together. */
const MOST_ENCRYPTIONS = 2 ** 31;
/** One peer's clock may be wrong; where so many are ahead, ours is behind. */
const SKEWED_PEERS = 2;
const SKEW_MEMORY_MS = 10 * MINUTE_MS;
const MOST_SKEWED = 256;
const BLOCKED_MEMORY_MS = 10 * MINUTE_MS;
const TROUBLE_MEMORY_MS = 10 * MINUTE_MS;
const MOST_BLOCKED = 256;
const MOST_NAMED = 3;

export function createWatch(complaints: Complaints): Watch {
  const ahead = new Map<string, UnixMs>();
  const blocked = new Map<string, UnixMs>();
  let troubledAt: UnixMs | null = null;

  function certificateFaults(certificate: NodeCertificate | null, now: UnixMs): void {
    if (certificate === null) return;
    const { notBefore, notAfter } = certificate;
    const fix = 'see that a registrar can be reached ("honeymesh mesh status"); it renews by itself then; else join anew: honeymesh mesh join TOKEN';
    const early = now < notBefore ? `the certificate of this host begins at ${rfc3339(notBefore)}: its clock is behind, or the registrar's ahead` : null;
    const ended = now >= notAfter ? `the certificate of this host ended at ${rfc3339(notAfter)}: peers refuse what it says` : null;
    const ending =
      notAfter - now < LATE_SHARE * (notAfter - notBefore) ? `the certificate of this host ends at ${rfc3339(notAfter)} and was not renewed` : null;
    const why = early ?? ended ?? ending;
    complaints.set('certificate', why === null ? null : { why, fix: early === null ? fix : 'compare the clocks of both: timedatectl' });
  }

  function clockFaults(now: UnixMs): void {
    for (const [who, at] of ahead) if (now - at > SKEW_MEMORY_MS) ahead.delete(who);
    if (ahead.size < SKEWED_PEERS) {
      complaints.set('clock', null);
      return;
    }
    const why = `${ahead.size} peers sign more than 30 s ahead of this host's time (${someOf(ahead)}): what they say is refused`;
    complaints.set('clock', { why, fix: "this host's clock is behind, or theirs are ahead: compare with timedatectl and let NTP set them" });
  }

  function keyFaults(encrypted: number, members: number): void {
    const all = encrypted * Math.max(1, members);
    const why = `one group key has encrypted some ${Math.round(all / 1e6)} million packets of all members: a key is good for half as many more`;
    complaints.set('key-budget', all < MOST_ENCRYPTIONS ? null : { why, fix: 'on a registrar: honeymesh mesh rotate-key' });
  }

  function addressFault(gone: string | null): void {
    const why = `the address that peers know of this host (${gone}) is on no interface any more: they cannot reach it`;
    const fix = 'restart honeymesh, so that it tells the new one, or set mesh.advertise to an address that stays';
    complaints.set('address', gone === null ? null : { why, fix });
  }

  function networkFaults(now: UnixMs): void {
    for (const [name, at] of blocked) if (now - at > BLOCKED_MEMORY_MS) blocked.delete(name);
    if (blocked.size === 0) {
      complaints.set('udp-blocked', null);
      return;
    }
    const why = `UDP is blocked between this host and ${someOf(blocked)}, while TCP works: news come late and probes cost connections`;
    complaints.set('udp-blocked', { why, fix: 'let UDP through on the port of the mesh in both directions, in every firewall between' });
  }

  return {
    fromTheFuture(who, now) {
      if (ahead.size < MOST_SKEWED) ahead.set(who, now);
    },
    trouble(message, now) {
      troubledAt = now;
      complaints.set('trouble', { why: `the mesh's sockets or files are in trouble: ${message}`, fix: 'look at network, memory and disk of this host' });
    },
    udpBlocked(name, now) {
      if (blocked.size < MOST_BLOCKED) blocked.set(name, now);
      networkFaults(now);
    },
    udpWorks(name) {
      blocked.delete(name);
    },
    tick({ now, certificate, encrypted, members, goneAddress }) {
      addressFault(goneAddress);
      certificateFaults(certificate, now);
      clockFaults(now);
      keyFaults(encrypted, members);
      networkFaults(now);
      if (troubledAt === null || now - troubledAt <= TROUBLE_MEMORY_MS) return;
      troubledAt = null;
      complaints.set('trouble', null);
    },
  };
}

function someOf(among: ReadonlyMap<string, unknown>): string {
  const names = [...among.keys()].slice(0, MOST_NAMED).map(shownName).join(', ');
  return among.size > MOST_NAMED ? `${names} and ${among.size - MOST_NAMED} more` : names;
}
