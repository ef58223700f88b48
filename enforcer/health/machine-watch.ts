/** Keeps what follows from the machine current while it changes: own addresses in the kernel, and the entries that are allowed by themselves. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MachineFacts } from './machine.ts';

export interface MachineWatchDeps {
  readonly readMachine: () => MachineFacts;
  /** Everything that is allowed by itself, now. */
  readonly allows: (facts: MachineFacts, now: UnixMs) => readonly AllowEntry[];
  readonly onOwn: (own: readonly Address[]) => void;
  readonly onAllows: (entries: readonly AllowEntry[]) => void;
  readonly now: () => UnixMs;
}

export interface MachineWatch {
  /** Reads again; tells only what changed. */
  look(): void;
  readonly own: readonly Address[];
  readonly onLink: readonly Prefix[];
}

export function createMachineWatch({ readMachine, allows, onOwn, onAllows, now }: MachineWatchDeps): MachineWatch {
  let facts: MachineFacts = readMachine();
  let toldOwn = '';
  let toldAllows = '';
  return {
    look() {
      facts = readMachine();
      const own = [...facts.own].sort().join(' ');
      if (own !== toldOwn) {
        toldOwn = own;
        onOwn(facts.own);
      }
      const entries = allows(facts, now());
      const allowed = entries
        .map(entry => `${entry.target} ${entry.cause} ${entry.why}`)
        .sort()
        .join('\n');
      if (allowed === toldAllows) return;
      toldAllows = allowed;
      onAllows(entries);
    },
    get own() {
      return facts.own;
    },
    get onLink() {
      return facts.onLink;
    },
  };
}
