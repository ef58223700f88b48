/**
 * Wall-clock instants and the kernel's CLOCK_MONOTONIC nanoseconds, there and back. The kernel judges by the coarse clock, which lags by a
 * tick (4 ms at 250 Hz, 10 ms at 100); Node's hrtime is the fine one: an expiry may come true that much late.
 */
import { type UnixMs, unixMs } from '@honeymesh/intel/time';

const NS_PER_MS = 1_000_000n;
/** Readings of the two clocks jitter by a millisecond or two; a step of the wall clock is more. */
const STEP_MS = 50;
const TOGETHER_NS = 5n * NS_PER_MS;
const READINGS = 8;

export interface KernelClock {
  nowNs(): bigint;
  /** At least 1: 0 means "no end" in the maps. */
  toNs(at: UnixMs): bigint;
  /** Exactly what went into `toNs`, as long as the wall clock was not stepped in between. */
  toUnixMs(ns: bigint): UnixMs;
}

export function createKernelClock({
  now,
  monotonicNs = process.hrtime.bigint,
}: {
  readonly now: () => UnixMs;
  readonly monotonicNs?: () => bigint;
}): KernelClock {
  let offsetMs = 0;
  /** Unix ms at monotonic 0. Kept until it is wrong by more than jitter, so that what is read back equals what was written. */
  const offset = (): bigint => {
    for (let tries = 0; tries < READINGS; tries++) {
      const before = monotonicNs();
      const wall = Math.round(now());
      const after = monotonicNs();
      if (after - before > TOGETHER_NS) continue; // put to sleep between the two clocks: what was read does not belong together
      const fresh = wall - Number(after / NS_PER_MS);
      if (Math.abs(fresh - offsetMs) > STEP_MS) offsetMs = fresh;
      break;
    }
    return BigInt(offsetMs);
  };
  return {
    nowNs: () => monotonicNs(),
    toNs(at) {
      const ms = BigInt(Math.round(at)) - offset();
      return ms <= 0n ? 1n : ms * NS_PER_MS;
    },
    toUnixMs: ns => unixMs(Number(ns / NS_PER_MS + offset())),
  };
}
