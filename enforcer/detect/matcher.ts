/** Looks for the words of many rules in one pass over a text (Aho-Corasick), case folded: each character is looked at once, whatever is written. */
import type { Rule } from './rules.ts';

/** How often a shape is tried in a text: what begins more often than that is looked at no longer. */
export const MOST_TRIES = 64;

export interface Match {
  readonly rule: Rule;
  /** Where the word begins. */
  readonly at: number;
}

export interface Matcher {
  readonly states: number;
  /** Each rule that speaks in `place`, once, where it spoke first. Never throws. */
  search(text: string, place: number, protocol: string): readonly Match[];
}

interface Ending {
  readonly rule: Rule;
  readonly length: number;
}

const NOTHING: readonly Match[] = [];
const LARGEST_BYTE = 255;

export function createMatcher(rules: readonly Rule[]): Matcher {
  const classOf = new Uint8Array(LARGEST_BYTE + 1);
  let classes = 1; // class 0: in no word
  for (const { words } of rules) {
    for (const word of words) {
      for (let at = 0; at < word.length; at++) {
        const code = word.charCodeAt(at);
        if (code > LARGEST_BYTE || word === '') throw new Error(`no word for a matcher: ${JSON.stringify(word)}`);
        if (classOf[code] === 0) classOf[code] = classes++;
      }
    }
  }
  for (let lower = 0x61; lower <= 0x7a; lower++) classOf[lower - 0x20] = classOf[lower] as number;

  const children: Map<number, number>[] = [new Map()];
  const endings: Ending[][] = [[]];
  for (const rule of rules) {
    for (const word of rule.words) {
      let state = 0;
      for (let at = 0; at < word.length; at++) {
        const symbol = classOf[word.charCodeAt(at)] as number;
        let next = children[state]?.get(symbol);
        if (next === undefined) {
          next = children.length;
          children[state]?.set(symbol, next);
          children.push(new Map());
          endings.push([]);
        }
        state = next;
      }
      endings[state]?.push({ rule, length: word.length });
    }
  }

  // Breadth first, so that the state to fall back to is complete before it is copied.
  const states = children.length;
  const table = new Uint16Array(states * classes);
  const fallback = new Uint16Array(states);
  const order: number[] = [0];
  for (let index = 0; index < order.length; index++) {
    const state = order[index] as number;
    const back = fallback[state] as number;
    if (state !== 0) {
      table.copyWithin(state * classes, back * classes, (back + 1) * classes);
      endings[state]?.push(...(endings[back] ?? []));
    }
    for (const [symbol, next] of children[state] ?? []) {
      fallback[next] = state === 0 ? 0 : (table[back * classes + symbol] as number);
      table[state * classes + symbol] = next;
      order.push(next);
    }
  }
  const ends = Uint8Array.from(endings, each => (each.length > 0 ? 1 : 0));

  function search(text: string, place: number, protocol: string): readonly Match[] {
    let matches: Match[] | undefined;
    let tries: Map<Rule, number> | undefined;
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      state = table[state * classes + (code > LARGEST_BYTE ? 0 : (classOf[code] as number))] as number;
      if (ends[state] === 0) continue;
      for (const { rule, length } of endings[state] as Ending[]) {
        if ((rule.places & place) === 0) continue;
        if (rule.protocols !== undefined && !rule.protocols.includes(protocol)) continue;
        tries ??= new Map();
        const tried = tries.get(rule) ?? 0;
        if (tried >= MOST_TRIES) continue;
        const start = at + 1 - length;
        if (!speaks(rule, text, start)) {
          tries.set(rule, tried + 1);
          continue;
        }
        tries.set(rule, MOST_TRIES);
        matches ??= [];
        matches.push({ rule, at: start });
      }
    }
    return matches ?? NOTHING;
  }

  return { states, search };
}

function speaks({ shape }: Rule, text: string, start: number): boolean {
  if (shape === undefined) return true;
  shape.lastIndex = start;
  return shape.test(text);
}
