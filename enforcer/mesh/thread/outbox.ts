/**
 * Words on their way from the mesh's thread to the daemon. A flood of advice must not exhaust either: what waits is bounded, and leaves in batches as the
 * daemon takes them. Pure.
 */
import type { LedgerInput } from '../../ledger/decisions.ts';
import type { MeshView, MeshWord } from '../port.ts';

export interface OutboxLimits {
  /** Advice that waits; beyond, the newest is refused: whoever floods loses. */
  readonly advice: number;
  /** Withdrawals, misconduct, revocations: what was lost of these would keep somebody banned. */
  readonly others: number;
  readonly peers: number;
  readonly sent: number;
  readonly own: number;
  /** Inputs of the ledger in one batch. */
  readonly batch: number;
}

export const OUTBOX_LIMITS: OutboxLimits = { advice: 16_384, others: 65_536, peers: 1_024, sent: 1_024, own: 65_536, batch: 128 };

export interface Outbox {
  say(word: MeshWord): void;
  /** The next batch, or null: there is nothing to say. */
  take(): readonly MeshWord[] | null;
}

type WordOf<Kind extends MeshWord['kind']> = Extract<MeshWord, { kind: Kind }>;

/** The count under which it tells of what it had no room for. */
export const NO_ROOM = 'no-room-in-outbox';
const PEERS_AT_ONCE = 64;
const REASONS = 64;

export function createOutbox(limits: OutboxLimits = OUTBOX_LIMITS): Outbox {
  let heard: LedgerInput[] = [];
  /** Of `heard`: where the next batch begins. */
  let from = 0;
  let advice = 0;
  const peers: WordOf<'peer'>[] = [];
  const sent: WordOf<'sent'>[] = [];
  const own: WordOf<'own-envelope'>[] = [];
  const health = new Map<string, WordOf<'complaint' | 'recovered'>>();
  const refused = new Map<string, number>();
  let sample: string | null = null;
  let view: MeshView | null = null;

  function count(reason: string, more: number): void {
    const name = refused.has(reason) || refused.size < REASONS ? reason : 'other';
    refused.set(name, (refused.get(name) ?? 0) + more);
  }

  function hear(input: LedgerInput): void {
    const isAdvice = input.kind === 'advice';
    const others = heard.length - from - advice;
    if (isAdvice ? advice >= limits.advice : others >= limits.others) {
      count(NO_ROOM, 1);
      return;
    }
    if (isAdvice) advice++;
    heard.push(input);
  }

  function takeHeard(): readonly LedgerInput[] {
    const taken = heard.slice(from, from + limits.batch);
    from += taken.length;
    advice -= taken.filter(input => input.kind === 'advice').length;
    if (from === heard.length || from > limits.others) {
      heard = heard.slice(from);
      from = 0;
    }
    return taken;
  }

  return {
    say(word) {
      switch (word.kind) {
        case 'heard':
          for (const input of word.inputs) hear(input);
          break;
        case 'peer':
          if (peers.length < limits.peers) peers.push(word);
          else count(NO_ROOM, 1);
          break;
        case 'sent':
          if (sent.length < limits.sent) sent.push(word);
          else count(NO_ROOM, 1);
          break;
        case 'own-envelope':
          if (own.length < limits.own) own.push(word);
          else count(NO_ROOM, 1);
          break;
        case 'refused':
          for (const [reason, more] of Object.entries(word.counts)) count(reason, more);
          sample = word.sample ?? sample;
          break;
        case 'complaint':
        case 'recovered':
          // The last word on each counts, in the order of the last words.
          health.delete(word.key);
          if (health.size < REASONS) health.set(word.key, word);
          break;
        case 'view':
          view = word.view;
          break;
      }
    },
    take() {
      const words: MeshWord[] = [];
      // The view first: what is judged after it is judged by who answers now.
      if (view !== null) words.push({ kind: 'view', view });
      const inputs = takeHeard();
      if (inputs.length > 0) words.push({ kind: 'heard', inputs });
      // Before `sent`: what the log says was told is on its way to the hub too.
      words.push(...own.splice(0, PEERS_AT_ONCE), ...peers.splice(0, PEERS_AT_ONCE), ...sent.splice(0, PEERS_AT_ONCE), ...health.values());
      if (refused.size > 0) words.push({ kind: 'refused', counts: Object.fromEntries(refused), sample });
      view = null;
      health.clear();
      refused.clear();
      sample = null;
      return words.length === 0 ? null : words;
    },
  };
}
