/** What no advice may touch: ranges that are not public, and the fleet's own. Each receiver has lists of its own; the hub's keeps one mistake from all. */
import { overlaps, type Prefix, parsePrefix } from '@honeymesh/intel/address';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { NEVER_BANNED, NOT_SHARED_BY_DEFAULT } from '@honeymesh/intel/special-ranges';

export interface NeverAdvised {
  readonly special: readonly Prefix[];
  readonly fleet: readonly Prefix[];
}

export const DEFAULT_NEVER_ADVISED: readonly Prefix[] = [...NEVER_BANNED, ...NOT_SHARED_BY_DEFAULT].map(range => range.prefix);

/** Reads a comma-separated list; `default` stands for the list of the same name. */
export function parseRanges(text: string): Parsed<readonly Prefix[]> {
  const prefixes: Prefix[] = [];
  for (const part of text.split(',').map(each => each.trim())) {
    if (part === '') continue;
    if (part === 'default') {
      prefixes.push(...DEFAULT_NEVER_ADVISED);
      continue;
    }
    const read = parsePrefix(part);
    if (!read.ok) return unparsed(`${part}: ${read.why}`);
    prefixes.push(read.value);
  }
  return parsed(prefixes);
}

export function neverAdvised(target: Prefix, { special, fleet }: NeverAdvised): 'never-advised' | 'fleet-owned' | null {
  if (special.some(range => overlaps(range, target))) return 'never-advised';
  return fleet.some(range => overlaps(range, target)) ? 'fleet-owned' : null;
}
