/** First verdicts on what was said in a trap. Pure and fast: it runs in the trap process for each observation, and its time is linear in the text. */
import { CONTENT_KINDS, type Finding, LONGEST_QUOTE } from '@honeymesh/intel/findings';
import type { Observation } from '@honeymesh/intel/observations';
import type { Reason } from '@honeymesh/intel/reasons';
import { COMMAND_RULES } from './commands.ts';
import { judgeCredentials } from './credentials.ts';
import { type Decoded, decodeBody, decodeHeader, decodeShell, decodeTarget } from './decoding.ts';
import { HTTP_RULES } from './http.ts';
import { createMatcher } from './matcher.ts';
import { AGENT, BODY, type Found, HEADER, LINE, MAIL, NAME, OPAQUE, SHELL, TARGET } from './rules.ts';

export interface About {
  /** As the trap names it: `http`, `https`, `redis`, `redis-tls`, `unknown` ... */
  readonly protocol: string;
  readonly port: number;
  readonly transport: 'tcp' | 'udp';
}

/** Of one observation; the strongest are kept. */
export const MOST_OF_ONE = 6;

const SHELLS = new Set(['telnet', 'ssh', 'adb']);
const WEB_PROTOCOLS = new Set(['http', 'http-proxy', 'docker', 'kubernetes', 'elasticsearch']);
const NONE: readonly Finding[] = [];
const BEFORE_QUOTE = 24;

const matcher = createMatcher([...HTTP_RULES, ...COMMAND_RULES]);

/** What is hostile in it, strongest first; at most MOST_OF_ONE. Never throws. */
export function judgeObservation(observation: Observation, about: About): readonly Finding[] {
  const protocol = plainName(about.protocol);
  const found: Found = new Map();
  switch (observation.kind) {
    case 'credentials':
      for (const finding of judgeCredentials(protocol, observation.user, observation.secret, observation.scheme)) found.set(finding.rule, finding);
      look(found, observation.user, NAME, protocol);
      look(found, observation.secret, NAME, protocol);
      break;
    case 'command':
      if (SHELLS.has(protocol)) lookTwice(found, observation.line, SHELL, protocol, decodeShell);
      else lookTwice(found, observation.line, LINE, protocol, decodeBody);
      break;
    case 'request':
      lookTwice(found, observation.target, TARGET, protocol, decodeTarget);
      for (const [name, value] of observation.headers) lookTwice(found, value, isAgent(name) ? AGENT | HEADER : HEADER, protocol, decodeHeader);
      break;
    case 'payload':
      lookTwice(found, observation.content, placeOf(observation.name, protocol), protocol, decodeBody);
      break;
    case 'fingerprint':
      look(found, observation.value, AGENT, protocol);
      break;
    case 'malformed':
    case 'too-much':
    case 'deadline':
      return NONE;
  }
  return found.size === 0 ? NONE : strongest(found);
}

const HOSTILE_REASONS: ReadonlySet<Reason> = new Set([
  'brute-force',
  'credential-stuffing',
  'default-credentials',
  'exploit',
  'command',
  'tool-transfer',
  'vulnerability-scan',
] as const satisfies readonly Reason[]);

/** Whether this is hostile content (tier E2 where the source is proven). What is only hidden (`obfuscated`) or only broken (`malformed`) is not. */
export const isHostile = (findings: readonly Finding[]): boolean => findings.some(({ reason }) => HOSTILE_REASONS.has(reason));

function look(found: Found, text: string, place: number, protocol: string): number {
  const before = found.size;
  for (const { rule, at } of matcher.search(text, place, protocol)) {
    if (found.has(rule.name)) continue;
    const from = Math.max(0, at - BEFORE_QUOTE);
    found.set(rule.name, { rule: rule.name, reason: rule.reason, kind: rule.kind, quote: text.slice(from, from + LONGEST_QUOTE) });
  }
  return found.size - before;
}

/** As it came, and as it is meant. */
function lookTwice(found: Found, raw: string, place: number, protocol: string, decode: (raw: string) => Decoded): void {
  look(found, raw, place, protocol);
  const { text, layered } = decode(raw);
  if (text === raw) return;
  const more = look(found, text, place, protocol);
  if (more > 0 && layered) found.set('hidden-words', { rule: 'hidden-words', reason: 'obfuscated', kind: 'payload', quote: raw.slice(0, LONGEST_QUOTE) });
}

const plainName = (protocol: string): string => (protocol === 'https' ? 'http' : protocol.endsWith('-tls') ? protocol.slice(0, -4) : protocol);

const isAgent = (name: string): boolean => name.length === 10 && name.toLowerCase() === 'user-agent';

function placeOf(name: string, protocol: string): number {
  if (name === 'mail') return MAIL;
  return name === 'body' && WEB_PROTOCOLS.has(protocol) ? BODY : OPAQUE;
}

function strongest(found: Found): readonly Finding[] {
  const findings = [...found.values()];
  findings.sort((one, other) => CONTENT_KINDS.indexOf(one.kind) - CONTENT_KINDS.indexOf(other.kind));
  return findings.slice(0, MOST_OF_ONE);
}
