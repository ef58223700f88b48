/** What an operator must know and mend, each said once, said again where its words change, and taken back when it is over. */
import type { MeshWord } from '../port.ts';

export interface Complaint {
  readonly why: string;
  readonly fix: string;
}

export interface Complaints {
  /** Null: it is well. */
  set(key: string, complaint: Complaint | null): void;
  readonly open: number;
}

export function createComplaints(say: (word: MeshWord) => void): Complaints {
  const open = new Map<string, string>();
  return {
    get open() {
      return open.size;
    },
    set(key, complaint) {
      if (complaint === null) {
        if (open.delete(key)) say({ kind: 'recovered', key });
        return;
      }
      if (open.get(key) === complaint.why) return;
      open.set(key, complaint.why);
      say({ kind: 'complaint', key, ...complaint });
    },
  };
}
