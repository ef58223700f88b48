/** Watches the wall clock against the monotonic one: bans end in the kernel by the latter, in the ledger by the former. */

export interface ClockWatch {
  /** How far the wall clock was stepped since the last look, in ms; 0 for less than `slackMs`. */
  look(): number;
}

/** Smaller steps are an NTP slew's everyday business. */
const SLACK_MS = 2_000;

export function createClockWatch({ wallMs, monotonicMs }: { wallMs: () => number; monotonicMs: () => number }): ClockWatch {
  let offset = wallMs() - monotonicMs();
  return {
    look() {
      const step = wallMs() - monotonicMs() - offset;
      if (Math.abs(step) < SLACK_MS) return 0;
      offset += step;
      return Math.round(step);
    },
  };
}
