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
const NONE_ENDED = -1;

export function createMatcher(rules: readonly Rule[]): Matcher {
  const { classOf, classes } = classesOf(rules);
  const trie = trieOf(rules, classOf);
  const { table, endings, firstEnding } = tableOf(trie, classes);

  /** The row after the next word that ends, and where; a loop of its own, without calls, as nearly all of the time is spent here. */
  let endedAt = 0;
  function nextEnding(text: string, from: number, rowBefore: number): number {
    const { length } = text;
    let row = rowBefore;
    for (let at = from; at < length; at++) {
      const code = text.charCodeAt(at);
      row = table[row + (code > LARGEST_BYTE ? 0 : (classOf[code] as number))] as number;
      if (row >= firstEnding) {
        endedAt = at;
        return row;
      }
    }
    return NONE_ENDED;
  }

  function search(text: string, place: number, protocol: string): readonly Match[] {
    let matches: Match[] | undefined;
    let tries: Map<Rule, number> | undefined;
    for (let row = nextEnding(text, 0, 0); row !== NONE_ENDED; row = nextEnding(text, endedAt + 1, row)) {
      for (const { rule, length } of endings[(row - firstEnding) / classes] as readonly Ending[]) {
        if ((rule.places & place) === 0) continue;
        if (rule.protocols !== undefined && !rule.protocols.includes(protocol)) continue;
        tries ??= new Map();
        const tried = tries.get(rule) ?? 0;
        if (tried >= MOST_TRIES) continue;
        const start = endedAt + 1 - length;
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

  return { states: trie.length, search };
}

function speaks({ shape }: Rule, text: string, start: number): boolean {
  if (shape === undefined) return true;
  shape.lastIndex = start;
  return shape.test(text);
}

/** Characters that occur in words get a class each, a letter's cases the same one; all others share class 0. */
function classesOf(rules: readonly Rule[]): { readonly classOf: Uint8Array; readonly classes: number } {
  const classOf = new Uint8Array(LARGEST_BYTE + 1);
  let classes = 1;
  for (const word of rules.flatMap(({ words }) => words)) {
    if (word === '' || word !== word.toLowerCase()) throw new Error(`no word for a matcher: ${JSON.stringify(word)}`);
    for (let at = 0; at < word.length; at++) {
      const code = word.charCodeAt(at);
      if (code > LARGEST_BYTE) throw new Error(`no byte in a word: ${JSON.stringify(word)}`);
      if (classOf[code] === 0) classOf[code] = classes++;
    }
  }
  for (let lower = 0x61; lower <= 0x7a; lower++) classOf[lower - 0x20] = classOf[lower] as number;
  return { classOf, classes };
}

interface Node {
  readonly children: Map<number, number>;
  readonly endings: Ending[];
}

function trieOf(rules: readonly Rule[], classOf: Uint8Array): readonly Node[] {
  const root: Node = { children: new Map(), endings: [] };
  const nodes: Node[] = [root];
  for (const rule of rules) {
    for (const word of rule.words) {
      let node = root;
      for (let at = 0; at < word.length; at++) {
        const symbol = classOf[word.charCodeAt(at)] as number;
        let next = node.children.get(symbol);
        if (next === undefined) {
          next = nodes.length;
          node.children.set(symbol, next);
          nodes.push({ children: new Map(), endings: [] });
        }
        node = nodes[next] as Node;
      }
      node.endings.push({ rule, length: word.length });
    }
  }
  return nodes;
}

interface Table {
  /** Where a row goes on with a class: the offset of the next row. */
  readonly table: Uint32Array;
  /** Rows from here on end a word; all others come before. */
  readonly firstEnding: number;
  readonly endings: readonly (readonly Ending[])[];
}

/** Every state's way on with every class, what it falls back to included: no step is ever taken back. */
function tableOf(nodes: readonly Node[], classes: number): Table {
  const order: number[] = [0]; // breadth first: the state to fall back to is complete before it is copied
  const states = new Uint16Array(nodes.length * classes);
  const fallback = new Uint16Array(nodes.length);
  const endings = nodes.map(node => [...node.endings]);
  for (let index = 0; index < order.length; index++) {
    const state = order[index] as number;
    const back = fallback[state] as number;
    if (state !== 0) {
      states.copyWithin(state * classes, back * classes, (back + 1) * classes);
      endings[state]?.push(...(endings[back] ?? []));
    }
    for (const [symbol, next] of nodes[state]?.children ?? []) {
      fallback[next] = state === 0 ? 0 : (states[back * classes + symbol] as number);
      states[state * classes + symbol] = next;
      order.push(next);
    }
  }
  const silent = order.filter(state => endings[state]?.length === 0);
  const ending = order.filter(state => endings[state]?.length !== 0);
  const rowOf = new Uint32Array(nodes.length);
  for (const [row, state] of [...silent, ...ending].entries()) rowOf[state] = row * classes;
  const table = new Uint32Array(states.length);
  for (let state = 0; state < nodes.length; state++) {
    const row = rowOf[state] as number;
    for (let symbol = 0; symbol < classes; symbol++) table[row + symbol] = rowOf[states[state * classes + symbol] as number] as number;
  }
  return { table, firstEnding: silent.length * classes, endings: ending.map(state => endings[state] ?? []) };
}
