/** What happens at the registrar's door, for the event log: each thing once, a flood as a number. Nothing secret, nothing unescaped: names are checked before. */
import { parseAddress } from '@honeymesh/intel/address';
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { NewEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Refusal, Route } from './messages.ts';

export interface AuthEvents {
  done(source: string | null, text: string): void;
  refused(route: Route, source: string, why: Refusal): void;
  /** Refusals since the start, all counted. */
  readonly refusals: number;
}

/** A scanner that talks to the port fills no log. */
const REFUSALS_TOLD: BucketLimits = { burst: 32, everyMs: 10_000 };

const ASKED: Readonly<Record<Route, string>> = { join: 'to join the mesh', renew: 'a renewal', keys: "the group's keys" };

export function createAuthEvents(
  { port }: { readonly port: () => number },
  { record, now }: { readonly record: (event: NewEvent) => void; readonly now: () => UnixMs },
): AuthEvents {
  let bucket: Bucket = emptyBucket;
  let untold = 0;
  let refusals = 0;

  function tell(source: string | null, summary: string, detail?: NewEvent['detail']): void {
    const address = source === null ? null : parseAddress(source.replace(/%.*$/, ''));
    record({
      at: now(),
      kind: 'auth',
      source: address?.ok ? address.value : null,
      port: source === null ? null : port(),
      protocol: source === null ? null : 'tcp',
      tier: null,
      reasons: [],
      origin: null,
      summary,
      ...(detail === undefined ? {} : { detail }),
    });
  }

  return {
    done: (source, text) => tell(source, text),
    refused(route, source, why) {
      refusals++;
      const poured = pour(bucket, REFUSALS_TOLD, now());
      bucket = poured.bucket;
      if (!poured.admitted) {
        untold++;
        return;
      }
      const more = untold === 0 ? '' : `; ${untold} refusals before it were only counted`;
      untold = 0;
      tell(source, `the registrar refused ${ASKED[route]}: ${why}${more}`, { route, why });
    },
    get refusals() {
      return refusals;
    },
  };
}
