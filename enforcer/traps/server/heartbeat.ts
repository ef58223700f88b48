/** Tells the kernel that the traps live: it steers to them only while the beat is fresh, so a dead or stalled trap process is a closed port, not a hang. */
import { addon, kernelError, mustBe, UPDATE } from '../../kernel/native.ts';

export interface Heartbeat {
  /** Writes the time of CLOCK_MONOTONIC into the pinned map; a microsecond. */
  beat(): void;
}

/** `pin` is the path of the pinned map `heartbeat`. */
export function openHeartbeat(pin: string): Heartbeat {
  const fd = mustBe(addon().openPin(pin), 'HM_MAP', `cannot open ${pin}`);
  const key = new Uint8Array(4);
  const value = new BigUint64Array(1);
  return {
    beat() {
      value[0] = process.hrtime.bigint(); // CLOCK_MONOTONIC on Linux (libuv), as bpf_ktime_get_ns
      const wrote = addon().mapUpdate(fd, key, new Uint8Array(value.buffer), UPDATE.any);
      if (wrote < 0) throw kernelError('HM_MAP', `cannot write ${pin}`, wrote);
    },
  };
}
