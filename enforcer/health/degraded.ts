/** What this host cannot do just now. Each part has at most one complaint; its coming and going are events. */
import type { Degraded, DegradedPart } from '@honeymesh/intel/events';

export interface DegradedBoard {
  /** Says that `part` is degraded. `key` tells several complaints of one part apart. */
  raise(degraded: Degraded, key?: string): void;
  clear(part: DegradedPart, key?: string): void;
  current(): readonly Degraded[];
}

/** `onChange` is called once for each complaint that comes (true) or goes (false). */
export function createDegradedBoard(onChange: (degraded: Degraded, raised: boolean) => void): DegradedBoard {
  const complaints = new Map<string, Degraded>();
  const nameOf = (part: DegradedPart, key: string | undefined): string => `${part} ${key ?? ''}`;
  return {
    raise(degraded, key) {
      const name = nameOf(degraded.part, key);
      const known = complaints.get(name);
      complaints.set(name, degraded);
      if (known?.why !== degraded.why) onChange(degraded, true);
    },
    clear(part, key) {
      const name = nameOf(part, key);
      const known = complaints.get(name);
      if (known === undefined) return;
      complaints.delete(name);
      onChange(known, false);
    },
    current: () => [...complaints.values()],
  };
}
