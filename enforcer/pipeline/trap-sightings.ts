/** What the traps observed, as sightings. A touch is a completed handshake: tier E1, it cannot be spoofed. */

import { escapeBytes } from '@honeymesh/intel/escape';
import type { Sighting } from '@honeymesh/intel/sightings';
import { formatDuration } from '@honeymesh/intel/time';
import type { TrapObservation } from '../traps/messages.ts';

export function sightingOfTrap(observation: TrapObservation): Sighting {
  const common = { at: observation.at, source: observation.source, tier: 'E1', origin: 'trap', port: observation.port, protocol: 'tcp' } as const;
  switch (observation.kind) {
    case 'touch':
      return {
        ...common,
        kind: 'touch',
        reasons: ['trap-touch'],
        summary: `connected to the trap on port ${observation.port}${observation.count > 1 ? ` (${observation.count} times)` : ''}`,
        ...(observation.count > 1 ? { detail: { connections: observation.count } } : {}),
      };
    case 'ended': {
      const head = Uint8Array.from(atob(observation.head), character => character.charCodeAt(0));
      return {
        ...common,
        kind: 'payload',
        reasons: ['trap-touch'],
        summary: `sent ${observation.receivedBytes} bytes to the ${observation.protocol} trap on port ${observation.port}: ${escapeBytes(head, 64)}`,
        detail: {
          head: observation.head,
          receivedBytes: observation.receivedBytes,
          durationMs: observation.durationMs,
          duration: formatDuration(observation.durationMs),
          end: observation.end,
        },
      };
    }
  }
}
