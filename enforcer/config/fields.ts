/** The kinds of values that a configuration may hold, each with errors that show the right form. */
import { type Prefix, parsePrefix } from '@honeymesh/intel/address';
import type { Transport } from '@honeymesh/intel/events';
import { formatDuration, parseDuration } from '@honeymesh/intel/time';
import * as z from 'zod';
import { nearest } from './nearest.ts';
import { bad, prefixProblem, shown } from './wording.ts';

/** A whole number within bounds. */
export function count(standard: number, { min, max, about }: { readonly min: number; readonly max: number; readonly about: string }) {
  const form = `a whole number from ${min} to ${max}`;
  return z
    .int({ error: issue => bad(issue.input, form) })
    .min(min, { error: issue => bad(issue.input, form) })
    .max(max, { error: issue => bad(issue.input, form) })
    .default(standard)
    .meta({ description: about, 'x-bounds': `${min} to ${max}` });
}

/** A duration with its unit, in milliseconds once read. */
export function duration(standard: string, { min, max, about }: { readonly min: string; readonly max: string; readonly about: string }) {
  const [minMs, maxMs] = [durationMs(min), durationMs(max)];
  return z
    .string({ error: issue => durationProblem(issue.input, standard) })
    .meta({ description: about, 'x-bounds': `${min} to ${max}`, pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$' })
    .prefault(standard)
    .transform((text, context) => {
      const read = parseDuration(text);
      if (!read.ok) return refuse(context, durationProblem(text, standard));
      if (read.value < minMs || read.value > maxMs) return refuse(context, `${shown(text)} is out of bounds: give ${min} to ${max}`);
      return read.value;
    });
}

export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words, standard: Words[number], about: string) {
  return z
    .enum(words, {
      error: issue => {
        const near = typeof issue.input === 'string' ? nearest(issue.input, words) : undefined;
        return `${bad(issue.input, `one of ${words.join(', ')}`)}${near === undefined ? '' : `; did you mean ${near}?`}`;
      },
    })
    .default(standard)
    .meta({ description: about });
}

export const prefix = z
  .string({ error: issue => bad(issue.input, 'an address or prefix such as 198.51.100.0/24') })
  .meta({ title: 'address or prefix' })
  .transform((text, context): Prefix => {
    const read = parsePrefix(text.trim());
    return read.ok ? read.value : refuse(context, prefixProblem(text.trim(), read.why));
  });

export function prefixes(standard: readonly string[], max: number, about: string) {
  return list(prefix, 'a list of prefixes such as [198.51.100.0/24]', max)
    .prefault([...standard])
    .meta({ description: about });
}

export function list<Item extends z.ZodType>(item: Item, form: string, max: number) {
  return z.array(item, { error: issue => bad(issue.input, form) }).max(max, { error: `holds more than ${max} entries` });
}

/** Linux: up to 15 bytes, no slash, no blank, no colon (dev_valid_name). */
export const interfaceName = z
  .string({ error: issue => bad(issue.input, 'the name of a network interface such as eth0') })
  .regex(/^(?!\.{1,2}$)[^\s/:]{1,15}$/, {
    error: issue => bad(issue.input, 'the name of a network interface such as eth0 (at most 15 characters, no blank, / or :)'),
  })
  .meta({ title: 'interface name' });

const PORT_FORM = 'a port from 1 to 65535';
export const port = z
  .int({ error: issue => bad(issue.input, PORT_FORM) })
  .min(1, { error: issue => bad(issue.input, PORT_FORM) })
  .max(65_535, { error: issue => bad(issue.input, PORT_FORM) });

export interface PortRange {
  readonly transport: Exclude<Transport, 'icmp'>;
  readonly low: number;
  readonly high: number;
}

const RANGE_FORM = 'a port such as 8080, "53/udp" or "8000-8100"';
const RANGE = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/;

/** `8080`, `53/udp`, `8000-8100`, `8000-8100/udp`; TCP where it does not say. */
export const portRange = z
  .union([port, z.string().regex(RANGE).meta({ title: '`53/udp`, `8000-8100`' })], { error: issue => bad(issue.input, RANGE_FORM) })
  .transform((written, context): PortRange => {
    const match = RANGE.exec(String(written));
    const low = Number(match?.[1]);
    const high = Number(match?.[2] ?? match?.[1]);
    if (low < 1 || high > 65_535 || low > high) return refuse(context, bad(written, `${RANGE_FORM} (1 to 65535, the lower one first)`));
    return { transport: match?.[3] === 'udp' ? 'udp' : 'tcp', low, high };
  });

/** One of a few words instead of a list of ports. YAML reads an unquoted `off` as a word, but older habits write `false`. */
export function wordOrPorts<const Words extends readonly [string, ...string[]]>(words: Words, standard: Words[number], max: number, about: string) {
  const form = `${words.join(', ')} or a list of ports such as [22, "8000-8010", "161/udp"]`;
  return z
    .union([z.enum(words), z.literal(false).transform((): 'off' => 'off'), list(portRange, form, max)], {
      error: issue => {
        const near = typeof issue.input === 'string' ? nearest(issue.input, words) : undefined;
        return `${bad(issue.input, form)}${near === undefined ? '' : `; did you mean ${near}?`}`;
      },
    })
    .prefault(standard)
    .meta({ description: about });
}

function refuse(context: z.core.$RefinementCtx, message: string): never {
  context.issues.push({ code: 'custom', message, input: context.value });
  return z.NEVER;
}

function durationMs(text: string): number {
  const read = parseDuration(text);
  return read.ok ? read.value : Number.NaN;
}

const UNIT_WORDS: Readonly<Record<string, number>> = {
  ms: 1,
  msec: 1,
  millisecond: 1,
  sec: 1_000,
  second: 1_000,
  s: 1_000,
  min: 60_000,
  minute: 60_000,
  m: 60_000,
  hr: 3_600_000,
  hour: 3_600_000,
  h: 3_600_000,
  day: 86_400_000,
  d: 86_400_000,
  week: 604_800_000,
  wk: 604_800_000,
  w: 604_800_000,
};

/** What is wrong with a duration, and how it is written right: in the operator's own amount where that can be guessed. */
function durationProblem(input: unknown, standard: string): string {
  if (typeof input === 'number') return `${shown(input)} has no unit: write a duration such as "${standard}" (ms, s, m, h, d)`;
  if (typeof input !== 'string') return bad(input, `a duration such as "${standard}"`);
  const match = /^\s*(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]*)\s*$/i.exec(input);
  const unit = UNIT_WORDS[(match?.[2] ?? '').toLowerCase()] ?? UNIT_WORDS[(match?.[2] ?? '').toLowerCase().replace(/s$/, '')];
  if (match !== null && match[2] === '') return `${shown(input)} has no unit: write a duration such as "${standard}" (ms, s, m, h, d)`;
  if (match !== null && unit !== undefined && Number(match[1]) > 0)
    return `${shown(input)} is not a duration: write "${formatDuration(Number(match[1]) * unit)}"`;
  return `${shown(input)} is not a duration: write a number with its unit such as "${standard}" (ms, s, m, h, d)`;
}
