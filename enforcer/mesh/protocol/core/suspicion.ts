/** How long a suspect may take to answer: long at first, shorter with each independent accuser (Lifeguard). Times in ms. */
export interface SuspicionLimits {
  /** So many confirmations make the shortest time; below 1 it is the shortest from the start. */
  readonly wanted: number;
  readonly leastMs: number;
  readonly mostMs: number;
}

export interface Suspicion {
  /** When the suspect is dead, if nothing is heard until then. */
  readonly endsAtMs: number;
  /** True where this accuser is new and counts: the accusation is then worth passing on. */
  confirm(from: string, nowMs: number): boolean;
}

/** The shortest suspicion in a table of so many members: grows with log10, cut to three decimals as memberlist cuts it. */
export function suspicionTimeoutMs(mult: number, members: number, probeIntervalMs: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  return (mult * Math.floor(scale * 1000) * probeIntervalMs) / 1000;
}

/** What is left after `elapsedMs` with so many confirmations; not positive where the time is over. */
export function remainingSuspicionMs(confirmations: number, limits: SuspicionLimits, elapsedMs: number): number {
  const share = Math.log(confirmations + 1) / Math.log(limits.wanted + 1);
  // In seconds, as memberlist reckons: the cut to whole milliseconds must fall on the same side.
  const seconds = limits.mostMs / 1000 - share * (limits.mostMs / 1000 - limits.leastMs / 1000);
  return Math.max(limits.leastMs, Math.floor(1000 * seconds)) - elapsedMs;
}

/** Who does not probe reckons with the interval of a LAN: with none, every accusation would kill at once. */
export const paceMs = ({ probeIntervalMs }: { readonly probeIntervalMs: number }): number => (probeIntervalMs > 0 ? probeIntervalMs : 1000);

/** Limits for a table of `members` entries; a small one cannot confirm, and does not wait for it. */
export function suspicionLimits(
  options: { readonly suspicionMult: number; readonly suspicionMaxTimeoutMult: number; readonly probeIntervalMs: number },
  members: number,
): SuspicionLimits {
  const wanted = options.suspicionMult - 2;
  const leastMs = suspicionTimeoutMs(options.suspicionMult, members, paceMs(options));
  return { wanted: members - 2 < wanted ? 0 : wanted, leastMs, mostMs: options.suspicionMaxTimeoutMult * leastMs };
}

export function createSuspicion(from: string, limits: SuspicionLimits, startMs: number): Suspicion {
  const accusers = new Set([from]);
  let confirmations = 0;
  let endsAtMs = startMs + (limits.wanted < 1 ? limits.leastMs : limits.mostMs);
  return {
    get endsAtMs() {
      return endsAtMs;
    },
    confirm(accuser, nowMs) {
      if (confirmations >= limits.wanted || accusers.has(accuser)) return false;
      accusers.add(accuser);
      confirmations++;
      endsAtMs = nowMs + Math.max(0, remainingSuspicionMs(confirmations, limits, nowMs - startMs));
      return true;
    },
  };
}
