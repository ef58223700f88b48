/** What the launcher finds degraded, kept for daemons to come: each is told all of it when it is ready. */
import type { DegradedPart } from '@honeymesh/intel/events';
import type { LauncherMessage } from './messages.ts';

export type Complaint = Extract<LauncherMessage, { kind: 'degraded' }>;

export interface Complaints {
  raise(part: DegradedPart, key: string, why: string, fix: string): void;
  clear(part: DegradedPart, key: string): void;
  current(): readonly Complaint[];
}

/** `tell` is called for each complaint that comes, changes or goes. */
export function createComplaints(tell: (message: Extract<LauncherMessage, { kind: 'degraded' | 'recovered' }>) => void): Complaints {
  const raised = new Map<string, Complaint>();
  return {
    raise(part, key, why, fix) {
      const name = `${part} ${key}`;
      if (raised.get(name)?.why === why) return;
      const complaint: Complaint = { kind: 'degraded', part, key, why, fix };
      raised.set(name, complaint);
      tell(complaint);
    },
    clear(part, key) {
      if (raised.delete(`${part} ${key}`)) tell({ kind: 'recovered', part, key });
    },
    current: () => [...raised.values()],
  };
}

/** What went wrong, in the error's own words. */
export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
