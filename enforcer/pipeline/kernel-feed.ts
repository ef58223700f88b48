/** The kernel's reports enter the pipeline here: sightings are recorded, suspects kept from eviction, alarms shown. */
import type { Address } from '@honeymesh/intel/address';
import { HOUR_MS, MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import type { DegradedBoard } from '../health/degraded.ts';
import type { Kernel, KernelEvent } from '../kernel/port.ts';
import { sightingOf } from './kernel-sightings.ts';
import { createNoiseGate } from './noise-gate.ts';
import type { Pipeline } from './pipeline.ts';

export interface KernelFeed {
  take(events: readonly KernelEvent[]): void;
  /** Writes the summary of what was not written one by one; ends alarms that are over. */
  tick(): void;
  /** When the first packet of a banned source was dropped, if the kernel told of it lately. */
  firstDropOf(source: Address): UnixMs | null;
}

const REMEMBERED_DROPS = 8_192;
const ALARM_MS = MINUTE_MS;
const SUMMARY_EVERY_MS = 10_000;

export function createKernelFeed({
  kernel,
  pipeline,
  degraded,
  now,
}: {
  kernel: Kernel;
  pipeline: Pipeline;
  degraded: DegradedBoard;
  now: () => UnixMs;
}): KernelFeed {
  const gate = createNoiseGate();
  const firstDrops = new Map<Address, UnixMs>();
  const alarms = new Map<'map-full' | 'guard', UnixMs>();
  let summarizedAt = 0;

  function alarm(kind: 'map-full' | 'guard', at: UnixMs): void {
    alarms.set(kind, at);
    if (kind === 'map-full') {
      degraded.raise(
        {
          part: 'kernel',
          why: 'more sources scan than the shun map holds',
          fix: 'the packets that cross a threshold are dropped all the same; "--mode lockdown" lets only known clients open connections',
        },
        kind,
      );
    } else {
      degraded.raise(
        {
          part: 'kernel',
          why: 'a distributed flood: new sources come faster than detect.newSources',
          fix: 'trackers are sampled until it ends; "--mode lockdown" lets only known clients open connections',
        },
        kind,
      );
    }
  }

  return {
    take(events) {
      for (const event of events) {
        switch (event.kind) {
          case 'touch':
          case 'scan':
          case 'flood': {
            const sighting = sightingOf(event);
            if (sighting !== null && gate.admit(event.kind, now())) pipeline.sight(sighting);
            break;
          }
          case 'suspect':
            kernel.watch(event.source);
            break;
          case 'ban-hit':
            if (firstDrops.size >= REMEMBERED_DROPS) firstDrops.delete(firstDrops.keys().next().value as Address);
            firstDrops.set(event.source, event.at);
            break;
          case 'map-full':
          case 'guard':
            alarm(event.kind, event.at);
            break;
        }
      }
    },
    tick() {
      const at = now();
      for (const [kind, since] of alarms) {
        if (at - since < ALARM_MS) continue;
        alarms.delete(kind);
        degraded.clear('kernel', kind);
      }
      if (at - summarizedAt < SUMMARY_EVERY_MS) return;
      summarizedAt = at;
      const summary = gate.summary(at);
      if (summary !== null) void pipeline.record([summary]);
    },
    firstDropOf(source) {
      const at = firstDrops.get(source);
      return at !== undefined && now() - at < HOUR_MS ? at : null;
    },
  };
}
