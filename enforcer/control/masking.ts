/**
 * Rows without the secrets that attackers guessed: some are somebody's. Each is replaced by its length and a short hash, so that the same guess is known
 * again, wherever it occurs: in credentials, quotes, transcripts, summaries and first bytes, also in the forms in which protocols send it.
 */
import { createHash } from 'node:crypto';
import { escapeText } from '@honeymesh/intel/escape';
import { LONGEST_QUOTE } from '@honeymesh/intel/findings';
import { LONGEST_HEAD, LONGEST_TEXT } from '../traps/receipts.ts';
import type { EventRow, ExplainReport, ReceiptRow } from './operations.ts';
import { createWordFinder, type WordFinder } from './words-in-text.ts';

/** Characters of a secret that a summary shows. */
export const SHOWN_OF_A_SECRET = 40;

/** `[6 characters, 8d969eef]`: the hash is the first 32 bits of SHA-256. */
export function maskOf(secret: string): string {
  const hash = createHash('sha256').update(secret, 'latin1').digest('hex').slice(0, 8);
  return `[${secret.length} ${secret.length === 1 ? 'character' : 'characters'}, ${hash}]`;
}

/** An event's row, with what its own detail marks as secrets masked. */
export function maskRow(row: EventRow): EventRow {
  const secrets = secretsIn(row);
  return secrets.length === 0 ? row : (masked(row, formsOf(secrets)) as EventRow);
}

/** All that is told of one source: what was guessed in one session is masked wherever it was said. Only rows of traps hold words of the source. */
export function maskReport(report: ExplainReport): ExplainReport {
  const secrets = [...new Map(report.events.flatMap(secretsIn).map(guess => [`${guess.user}\0${guess.secret}`, guess])).values()];
  if (secrets.length === 0) return report;
  const forms = formsOf(secrets);
  const ofTraps = report.events.filter(isOfTrap).map(event => event.summary);
  return {
    ...report,
    events: report.events.map(event => (isOfTrap(event) ? (masked(event, forms) as EventRow) : event)),
    receipts: report.receipts.map(receipt => masked(receipt, forms) as ReceiptRow),
    steps: report.steps.map(step => (ofTraps.some(summary => step.what.startsWith(summary)) ? { ...step, what: replaced(step.what, forms) } : step)),
  };
}

const isOfTrap = ({ detail }: EventRow): boolean => typeof detail?.trap === 'string';

interface Guess {
  readonly user: string;
  readonly secret: string;
}

/** The secrets that a row marks: those of its credentials, and the pair that a rule of default passwords quotes. */
function secretsIn({ detail }: EventRow): readonly Guess[] {
  const credentials = listOf(detail?.credentials).flatMap(({ user, secret }) => (typeof secret === 'string' ? [{ user: textOf(user), secret }] : []));
  const quoted = listOf(detail?.findings).flatMap(({ rule, quote }) => {
    if (rule !== 'default-credentials' || typeof quote !== 'string') return [];
    const colon = quote.indexOf(':');
    return [{ user: quote.slice(0, Math.max(0, colon)), secret: quote.slice(colon + 1) }];
  });
  return [...credentials, ...quoted].filter(guess => guess.secret !== '');
}

const listOf = (value: unknown): readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? value.filter(item => typeof item === 'object' && item !== null) : [];
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

type Forms = WordFinder<string>;

/** A secret as it came, escaped as summaries have it, in base64 (SMTP, HTTP Basic), percent-encoded (a form). */
function formsOf(guesses: readonly Guess[]): Forms {
  const masks = new Map<string, string>();
  for (const { user, secret } of guesses) {
    const mask = maskOf(secret);
    const escaped = [secret.length, SHOWN_OF_A_SECRET].map(longest => escapeText(secret, longest));
    for (const form of [secret, ...escaped, percent(secret), percent(secret).replaceAll('%20', '+')]) masks.set(form, mask);
    for (const packed of [secret, `${user}:${secret}`, `\0${user}\0${secret}`, `${user}\0${user}\0${secret}`]) {
      const text = Buffer.from(packed, 'latin1').toString('base64');
      masks.set(text, mask);
      const bare = text.replace(/=+$/, '');
      if (bare.length >= SHORTEST_BARE) masks.set(bare, mask);
    }
  }
  return createWordFinder(masks, SHORTEST_CUT);
}

/** Base64 without its padding that is shorter than this is found in half of all texts. */
const SHORTEST_BARE = 6;
/** Texts are cut at their bounds, in the midst of a secret too: so much of one at the end of a text is masked like the whole. */
const SHORTEST_CUT = 4;

const percent = (text: string): string =>
  text.replace(/[^A-Za-z0-9._~-]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

/** `bound`: a text of that length was cut perhaps; so was one that ends in dots. */
function replaced(text: string, forms: Forms, bound = Math.min(LONGEST_QUOTE, LONGEST_TEXT)): string {
  const places = forms.find(text, text.length >= bound ? text.length : undefined);
  const dotted = text.endsWith('...') ? forms.find(text, text.length - 3) : [];
  // A secret may itself end in dots: whichever covers more.
  const covered = (all: typeof places): number => all.reduce((sum, { from, to }) => sum + to - from, 0);
  const chosen = covered(dotted) > covered(places) ? dotted : places;
  let kept = 0;
  let masked = '';
  for (const { from, to, value } of chosen) {
    masked += text.slice(kept, from) + value;
    kept = to;
  }
  return masked + text.slice(kept);
}

/** What our own program wrote stays as it is: a secret that is called `trap` or `E1` must not change what a row says of itself. */
const OURS = new Set(
  'id event at kind source address port protocol trap tier reasons reason techniques origin target rule rules end name scheme verdict cause since'.split(' '),
);

function masked(value: unknown, forms: Forms, name = ''): unknown {
  if (typeof value === 'string') return OURS.has(name) ? value : name === 'head' ? maskedHead(value, forms) : replaced(value, forms);
  if (Array.isArray(value)) return value.map(item => masked(item, forms, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'secret' && typeof inner === 'string' ? maskOf(inner) : masked(inner, forms, key)]),
  );
}

const maskedHead = (head: string, forms: Forms): string => {
  const bytes = Buffer.from(head, 'base64').toString('latin1');
  return Buffer.from(replaced(bytes, forms, LONGEST_HEAD), 'latin1').toString('base64');
};
