/** What `honeymesh doctor` finds. */
import { readFileSync } from 'node:fs';

/** `ok` is null where it could not be told. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean | null;
  readonly why: string;
  readonly fix: string | null;
}

export const finding = (what: string, ok: boolean | null, why: string, fix: string | null): Finding => ({ what, ok, why, fix: ok === true ? null : fix });

/** A file of /proc or /sys; empty where it cannot be read. */
export function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
