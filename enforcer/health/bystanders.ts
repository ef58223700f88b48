/** Who would be hit by a wide ban: sources with accepted sessions at real services, from the kernel's `proven` map and from open sockets. */
import { type Address, networkOf, type Prefix } from '@honeymesh/intel/address';
import { createPrefixTable, type PrefixTable } from '@honeymesh/intel/prefix-table';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Kernel } from '../kernel/port.ts';
import type { Bystanders } from '../ledger/decisions.ts';

export interface BystandersDeps {
  readonly kernel: Kernel;
  readonly onLink: () => readonly Prefix[];
  readonly own: () => readonly Address[];
  readonly now: () => UnixMs;
}

const FRESH_MS = 2_000; // a table of 64k proven sources costs some 100 ms: not for each sighting

export function createBystanders({ kernel, onLink, own, now }: BystandersDeps): Bystanders {
  let listedAt = Number.NEGATIVE_INFINITY;
  let sources: PrefixTable<Prefix> = createPrefixTable();
  return {
    within(prefix, limit) {
      const at = now();
      if (at - listedAt >= FRESH_MS || at < listedAt) {
        sources = createPrefixTable();
        for (const { source } of kernel.listProven()) sources.set(source, source);
        listedAt = at;
      }
      // A proven IPv6 source is known by its /64, which may cover what is asked for.
      return [...new Set([...sources.covering(prefix), ...sources.within(prefix, limit)])].slice(0, limit).map(networkOf);
    },
    get onLink() {
      return onLink();
    },
    get own() {
      return own();
    },
  };
}
