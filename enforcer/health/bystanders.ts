/** Who would be hit by a wide ban: sources with accepted sessions at real services, from the kernel's `proven` map and from open sockets. */
import { type Address, contains, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Kernel } from '../kernel/port.ts';
import type { Bystanders } from '../ledger/decisions.ts';

export interface BystandersDeps {
  readonly kernel: Kernel;
  readonly onLink: () => readonly Prefix[];
  readonly own: () => readonly Address[];
  readonly now: () => UnixMs;
}

const FRESH_MS = 2_000; // a list of 64k proven sources costs some 20 ms: not for each sighting

export function createBystanders({ kernel, onLink, own, now }: BystandersDeps): Bystanders {
  let listedAt = Number.NEGATIVE_INFINITY;
  let sources: readonly Prefix[] = [];
  return {
    within(prefix, limit) {
      const at = now();
      if (at - listedAt >= FRESH_MS || at < listedAt) {
        sources = kernel.listProven().map(proven => proven.source);
        listedAt = at;
      }
      const found: Address[] = [];
      for (const source of sources) {
        if (found.length >= limit) break;
        if (contains(prefix, source) || contains(source, prefix)) found.push(networkOf(source));
      }
      return found;
    },
    get onLink() {
      return onLink();
    },
    get own() {
      return own();
    },
  };
}
