/**
 * Finds many words in a text in one pass (Aho and Corasick, CACM 1975): time grows with the text, not with how many words there are or how alike they are,
 * and attackers choose both. Also tells where a text was cut in the midst of a word.
 */
export interface WordFinder<T> {
  /**
   * Places that words take in `text`, in order and apart; overlapping words are one place, with what belongs to the longest. `cutAt`: the text ends there,
   * and may have been cut in the midst of a word.
   */
  find(text: string, cutAt?: number): readonly Place<T>[];
}

export interface Place<T> {
  readonly from: number;
  readonly to: number;
  readonly value: T;
}

const ROOT = 0;
const CODES = 65_536;

/** `cut`: so many characters of a word where a text was cut count as the word. */
export function createWordFinder<T>(words: ReadonlyMap<string, T>, cut: number): WordFinder<T> {
  const children = new Map<number, number>(); // node * CODES + character -> node
  const parents = [ROOT];
  const codes = [0];
  const depths = [0];
  const fallbacks = [ROOT];
  /** Length of the longest word that ends in a node, 0: none; and one that begins with it. */
  const lengths = [0];
  const owners: (T | undefined)[] = [undefined];

  for (const [word, value] of words) {
    let node = ROOT;
    for (let at = 0; at < word.length; at++) {
      const key = node * CODES + word.charCodeAt(at);
      let next = children.get(key);
      if (next === undefined) {
        next = depths.push(at + 1) - 1;
        children.set(key, next);
        parents.push(node);
        codes.push(word.charCodeAt(at));
        fallbacks.push(ROOT);
        lengths.push(0);
        owners.push(value);
      }
      node = next;
    }
    if (node === ROOT) continue;
    lengths[node] = word.length;
    owners[node] = value;
  }

  const step = (from: number, code: number): number => {
    for (let node = from; ; node = fallbacks[node] ?? ROOT) {
      const next = children.get(node * CODES + code);
      if (next !== undefined) return next;
      if (node === ROOT) return ROOT;
    }
  };
  /** What belongs to the longest word that ends in a node. */
  const ends: (T | undefined)[] = owners.map((owner, node) => ((lengths[node] ?? 0) > 0 ? owner : undefined));
  const shallowFirst = depths.map((_, node) => node).sort((one, other) => (depths[one] ?? 0) - (depths[other] ?? 0));
  for (const node of shallowFirst) {
    if ((depths[node] ?? 0) < 2) continue;
    const fallback = step(fallbacks[parents[node] ?? ROOT] ?? ROOT, codes[node] ?? 0);
    fallbacks[node] = fallback;
    if ((lengths[node] ?? 0) > 0) continue;
    lengths[node] = lengths[fallback] ?? 0;
    ends[node] = ends[fallback];
  }

  return {
    find(text, cutAt) {
      const end = cutAt ?? text.length;
      const places: { from: number; to: number; value: T; length: number }[] = [];
      let node = ROOT;
      const add = (length: number, to: number, value: T): void => {
        let place = { from: to - length, to, value, length };
        for (let last = places.at(-1); last !== undefined && last.to > place.from; last = places.at(-1)) {
          const longer = last.length >= place.length ? last : place;
          place = { from: Math.min(last.from, place.from), to: Math.max(last.to, place.to), value: longer.value, length: longer.length };
          places.pop();
        }
        places.push(place);
      };
      for (let at = 0; at < end; at++) {
        node = step(node, text.charCodeAt(at));
        const length = lengths[node] ?? 0;
        if (length > 0) add(length, at + 1, ends[node] as T);
      }
      const depth = depths[node] ?? 0;
      if (cutAt !== undefined && depth >= cut && depth > (lengths[node] ?? 0)) add(depth, end, owners[node] as T);
      return places;
    },
  };
}
