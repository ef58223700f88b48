/** `honeymesh pause 5m`: for a while everything is decided and counted, and nothing dropped. The kernel ends it by itself. */
import { formatDuration, HOUR_MS, parseDuration, rfc3339, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '../errors.ts';
import type { Kernel } from '../kernel/port.ts';
import type { Pipeline } from './pipeline.ts';

export interface Pause {
  /** `duration` such as `5m`; `off` ends a pause. Resolves when it is in force and recorded. */
  set(duration: string): Promise<UnixMs | null>;
  until(): UnixMs | null;
}

const LONGEST_MS = 24 * HOUR_MS;

export function createPause({ kernel, pipeline, now }: { kernel: Kernel; pipeline: Pipeline; now: () => UnixMs }): Pause {
  let until = kernel.pausedUntil(); // ordered of a daemon before this one: it ends when it was to end
  const current = (): UnixMs | null => (until !== null && until > now() ? until : null);
  return {
    async set(duration) {
      const at = now();
      until = duration === 'off' ? null : unixMs(at + readPause(duration));
      kernel.pause(until);
      const summary = until === null ? 'the pause was ended: enforcement is on' : `paused until ${rfc3339(until)}: decided and counted, nothing dropped`;
      await pipeline.record([{ at, kind: 'config', source: null, port: null, protocol: null, tier: null, reasons: [], origin: 'operator', summary }]);
      return until;
    },
    until: current,
  };
}

function readPause(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok || duration.value <= 0)
    throw new HoneyMeshError('HM_USAGE', `"${text}" is not how long a pause may be`, { fix: 'write it such as 5m or 1h, or "off" to end a pause' });
  if (duration.value > LONGEST_MS)
    throw new HoneyMeshError('HM_USAGE', `a pause of ${text} is too long`, {
      fix: `${formatDuration(LONGEST_MS)} at most; "--mode observe" drops nothing for good`,
    });
  return duration.value;
}
