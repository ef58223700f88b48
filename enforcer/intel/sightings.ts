/** What enters the pipeline, whoever saw it: a source did something at a time. */
import type { Address, Prefix } from './address.ts';
import type { EventKind, Transport } from './events.ts';
import type { Origin, Tier } from './evidence.ts';
import type { Reason } from './reasons.ts';
import type { UnixMs } from './time.ts';

export interface Sighting {
  readonly at: UnixMs;
  readonly source: Address | Prefix;
  readonly kind: EventKind;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  readonly origin: Origin;
  readonly port: number | null;
  readonly protocol: Transport | null;
  readonly summary: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}
