/**
 * What advice makes of one address, reckoned minute by minute from the promises alone: two sites hold it for as long as both say so, one for ten minutes; a
 * site's word counts for a day from when it first held it, and not on the day after; what was held for a day in all is held again only by more than a third of
 * the sites. Shares no code with the ledger, which reckons ends. Nothing overlaps the address, all are trusted, time goes forward in whole minutes.
 */
const DAY = 24 * 60;

interface Word {
  readonly site: string;
  readonly number: number;
  readonly until: number;
}

export interface Expected {
  readonly held: 'no' | 'provisional' | 'full';
}

export interface AdviceReckoning {
  say(signer: string, number: number, until: number): void;
  takeBack(signer: string, upTo: number): void;
  lift(): void;
  /** Moves on to the next minute; `ownBan`: whether this host has a ban of its own in it. */
  minute(at: number, ownBan: boolean): Expected;
}

export function createAdviceReckoning(sites: number): AdviceReckoning {
  const words = new Map<string, Word>();
  const takenBack = new Map<string, number>();
  const first = new Map<string, number>();
  const heldMinutes: number[] = [];
  let immuneUntil = Number.NEGATIVE_INFINITY;
  let asked = false;
  let before: Expected['held'] = 'no';
  let hidden = false;
  let now = 0;

  /** From when on a site counts; undefined: it never did, or so long ago that it begins anew. */
  const since = (site: string): number | undefined => {
    const at = first.get(site);
    return at !== undefined && now < at + 2 * DAY ? at : undefined;
  };
  const rests = (site: string): boolean => now >= (since(site) ?? now) + DAY;

  function spentMinutes(): number {
    let count = 0;
    let next = now;
    for (let at = heldMinutes.length - 1; at >= 0; at--) {
      const minute = heldMinutes[at] ?? 0;
      if (next - minute > DAY) break; // a whole day between them
      count++;
      next = minute;
    }
    return count;
  }

  function look(): Expected['held'] {
    if (now < immuneUntil) return 'no';
    const live = new Set([...words.values()].filter(word => word.until > now && !rests(word.site)).map(word => word.site));
    const spent = spentMinutes() >= DAY;
    const full = live.size >= (spent ? Math.max(2, Math.floor(sites / 3) + 1) : 2);
    const provisional = !spent && [...live].some(site => now < (since(site) ?? now) + 10);
    if (!full && !provisional) return 'no';
    return full ? 'full' : 'provisional';
  }

  function count(): void {
    for (const { site, until } of words.values()) {
      if (until <= now || rests(site)) continue;
      if (since(site) === undefined) first.set(site, now);
    }
  }

  return {
    say(signer, number, until) {
      const site = signer.slice(0, 1);
      const known = words.get(signer);
      if (known !== undefined && known.until > now && known.number >= number) return;
      if (until <= now || rests(site) || (takenBack.get(signer) ?? -1) >= number || now < immuneUntil) return;
      words.set(signer, { site, number, until });
      asked = true;
    },
    takeBack(signer, upTo) {
      takenBack.set(signer, Math.max(upTo, takenBack.get(signer) ?? -1));
      if ((words.get(signer)?.number ?? Number.POSITIVE_INFINITY) > upTo) return;
      words.delete(signer);
      asked = true;
    },
    lift() {
      immuneUntil = now + DAY;
    },
    minute(at, ownBan) {
      now = at;
      // Nobody looks again where nothing was said and nothing ended.
      const looks = asked || before !== 'no' || hidden;
      if (heldMinutes.at(-1) === now) heldMinutes.pop(); // what holds at the end of a minute holds in it
      const held = ownBan || !looks ? 'no' : look();
      if (held !== 'no') {
        heldMinutes.push(now);
        count();
      }
      asked = false;
      hidden = ownBan;
      before = held;
      return { held };
    },
  };
}
