/** First verdicts on what was said in a trap. Pure and fast: it runs in the trap process for each observation, and its time is linear in the text. */
import { CONTENT_KINDS, type Finding, LONGEST_QUOTE } from '@honeymesh/intel/findings';
import type { Observation } from '@honeymesh/intel/observations';
import type { Reason } from '@honeymesh/intel/reasons';
import { COMMAND_RULES } from './commands.ts';
import { judgeCredentials } from './credentials.ts';
import { type Decoded, decodeBody, decodeHeader, decodeShell, decodeTarget } from './decoding.ts';
import { DEVICE_RULES } from './devices.ts';
import { GATEWAY_RULES } from './gateways.ts';
import { INJECTION_RULES } from './http.ts';
import { createMatcher } from './matcher.ts';
import { OBFUSCATION_RULES, randomBody, randomToken } from './obfuscation.ts';
import { OBJECT_RULES } from './objects.ts';
import { PROBE_RULES } from './probes.ts';
import { PRODUCT_RULES } from './products.ts';
import { ACT, AGENT, BODY, type Found, HEADER, HEADER_NAME, LINE, MAIL, NAME, OPAQUE, type Rule, SHELL, TARGET } from './rules.ts';
import { SCANNER_RULES } from './scanners.ts';
import { SERVICE_RULES } from './services.ts';

export interface About {
  /** As the trap names it: `http`, `https`, `redis`, `redis-tls`, `unknown` ... */
  readonly protocol: string;
  readonly port: number;
  readonly transport: 'tcp' | 'udp';
}

/** Of one observation; the strongest are kept. */
export const MOST_OF_ONE = 6;

export const RULES: readonly Rule[] = [
  ...INJECTION_RULES,
  ...OBJECT_RULES,
  ...PRODUCT_RULES,
  ...GATEWAY_RULES,
  ...DEVICE_RULES,
  ...COMMAND_RULES,
  ...SERVICE_RULES,
  ...SCANNER_RULES,
  ...PROBE_RULES,
  ...OBFUSCATION_RULES,
];
const matcher = createMatcher(RULES);

const SHELLS: ReadonlySet<string> = new Set(['telnet', 'ssh', 'adb']);
const WEB_PROTOCOLS: ReadonlySet<string> = new Set(['http', 'http-proxy', 'docker', 'kubernetes', 'elasticsearch']);
/** What is carried in SSH that is no file put here by scp or sftp. */
const SSH_MESSAGES: ReadonlySet<string> = new Set(['ssh', 'ssh-pty', 'ssh-env', 'stdin', 'unknown', 'unread']);
const NONE: readonly Finding[] = [];
const BEFORE_QUOTE = 24;

/** What is hostile in it, strongest first; at most MOST_OF_ONE. Never throws. */
export function judgeObservation(observation: Observation, about: About): readonly Finding[] {
  const protocol = plainName(about.protocol);
  const found: Found = new Map();
  switch (observation.kind) {
    case 'credentials':
      for (const finding of judgeCredentials(protocol, observation)) found.set(finding.rule, finding);
      lookTwice(found, observation.user, NAME, protocol, decodeHeader);
      lookTwice(found, observation.secret, NAME, protocol, decodeHeader);
      break;
    case 'command':
      if (SHELLS.has(protocol)) judgeOrder(found, observation.line, protocol);
      else lookTwice(found, observation.line, LINE, protocol, decodeBody);
      break;
    case 'request':
      judgeRequest(found, observation, protocol);
      break;
    case 'payload':
      judgePayload(found, observation, protocol, about.transport);
      break;
    case 'fingerprint':
      look(found, observation.value, AGENT, protocol);
      break;
    case 'malformed':
      // Two lengths for one body: one for the guard, one for who is behind it.
      if (observation.why === 'contradictory body') add(found, { rule: 'contradictory-body', reason: 'malformed', kind: 'payload', quote: '' });
      break;
    case 'too-much':
    case 'deadline':
      break;
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

/** Tools that guess passwords say who they are before they guess: what they guess is worth waiting for, and bans them. */
const ANNOUNCED: ReadonlySet<string> = new Set(['password-guesser']);

/** Whether this is hostile content (tier E2 where the source is proven). What is only hidden (`obfuscated`), broken (`malformed`) or announced is not. */
export const isHostile = (findings: readonly Finding[]): boolean => findings.some(({ rule, reason }) => HOSTILE_REASONS.has(reason) && !ANNOUNCED.has(rule));

/** A line that got as far as a shell is an order, whatever it is. */
function judgeOrder(found: Found, line: string, protocol: string): void {
  if (protocol === 'adb' && !/^(?:shell|exec|sync|root:|remount:|tcpip:|reboot:|install|abb)/.test(line) && /^(?:CNXN |[a-z-]{2,24}:)/.test(line)) {
    lookTwice(found, line, LINE, protocol, decodeShell);
    return;
  }
  lookTwice(found, line, SHELL, protocol, decodeShell);
  if (line.trim() !== '' && !found.has('ssh-forward') && !found.has('sftp'))
    add(found, { rule: 'shell-command', reason: 'command', kind: 'command', quote: line.slice(0, LONGEST_QUOTE) });
  add(found, randomToken(line));
}

function judgeRequest(found: Found, { method, target, headers }: Extract<Observation, { kind: 'request' }>, protocol: string): void {
  if (!WEB_PROTOCOLS.has(protocol)) {
    lookTwice(found, `${method} ${target}`, LINE, protocol, decodeTarget);
    for (const [, value] of headers) look(found, value, LINE | AGENT, protocol);
    return;
  }
  if (method === 'GET' || method === 'HEAD') lookTwice(found, target, TARGET, protocol, decodeTarget);
  else lookTwice(found, `${method} ${target}`, TARGET | ACT, protocol, decodeTarget);
  for (const [name, value] of headers) {
    look(found, name, HEADER_NAME, protocol);
    lookTwice(found, value, isAgent(name) ? AGENT | HEADER : HEADER, protocol, decodeHeader);
  }
}

function judgePayload(found: Found, { name, content, bytes }: Extract<Observation, { kind: 'payload' }>, protocol: string, transport: 'tcp' | 'udp'): void {
  if (name === 'mail') lookTwice(found, content, MAIL, protocol, decodeHeader);
  else if (protocol === 'ssh' && name === 'stdin') lookTwice(found, content, SHELL, protocol, decodeShell);
  else if (protocol === 'ssh' && !SSH_MESSAGES.has(name)) {
    lookTwice(found, content, OPAQUE, protocol, decodeBody);
    add(found, { rule: 'ssh-file', reason: 'tool-transfer', kind: 'command', quote: name.slice(0, LONGEST_QUOTE) });
  } else if (name === 'body' && WEB_PROTOCOLS.has(protocol)) {
    lookTwice(found, content, BODY, protocol, decodeBody);
    add(found, randomBody(content, bytes));
  } else {
    // What came to the wrong door may be a request: TLS is spoken there, or nothing is known of the port.
    const request = requestIn(content);
    if (request === undefined) lookTwice(found, content, OPAQUE, protocol, transport === 'udp' ? decodeHeader : decodeBody);
    else {
      judgeRequest(found, request, 'http');
      lookTwice(found, request.body, BODY, 'http', decodeBody);
    }
  }
}

const MOST_HEADERS = 32;

/** The request that an unknown payload is the beginning of. */
function requestIn(content: string): (Extract<Observation, { kind: 'request' }> & { readonly body: string }) | undefined {
  const first = /^([A-Z]{3,10}) ([^\r\n]{1,4096}?) HTTP\/\d\.\d\r?\n/.exec(content);
  if (first === null) return undefined;
  const headers: (readonly [string, string])[] = [];
  let at = first[0].length;
  for (let end = content.indexOf('\n', at); end > at && headers.length < MOST_HEADERS; end = content.indexOf('\n', at)) {
    const line = content.slice(at, end);
    at = end + 1;
    const colon = line.indexOf(':');
    if (colon < 0) break;
    headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return { kind: 'request', method: first[1] ?? '', target: first[2] ?? '', headers, body: content.slice(at) };
}

function look(found: Found, text: string, place: number, protocol: string): number {
  const before = found.size;
  for (const { rule, at } of matcher.search(text, place, protocol)) {
    if (found.has(rule.name)) continue;
    const from = Math.max(0, at - BEFORE_QUOTE);
    add(found, { rule: rule.name, reason: rule.reason, kind: rule.kind, quote: text.slice(from, from + LONGEST_QUOTE) });
  }
  return found.size - before;
}

/** As it came, and as it is meant. What only shows after more decoding than anybody needs was hidden. */
function lookTwice(found: Found, raw: string, place: number, protocol: string, decode: (raw: string) => Decoded): void {
  look(found, raw, place, protocol);
  const { text, layered } = decode(raw);
  if (text === raw) return;
  const more = look(found, text, place, protocol);
  if (more > 0 && layered) add(found, { rule: 'hidden-words', reason: 'obfuscated', kind: 'payload', quote: raw.slice(0, LONGEST_QUOTE) });
}

function add(found: Found, finding: Finding | undefined): void {
  if (finding !== undefined && !found.has(finding.rule)) found.set(finding.rule, finding);
}

const plainName = (protocol: string): string => (protocol === 'https' ? 'http' : protocol.endsWith('-tls') ? protocol.slice(0, -4) : protocol);

const isAgent = (name: string): boolean => name.length === 10 && name.toLowerCase() === 'user-agent';

function strongest(found: Found): readonly Finding[] {
  const findings = [...found.values()];
  if (findings.length > 1) findings.sort((one, other) => CONTENT_KINDS.indexOf(one.kind) - CONTENT_KINDS.indexOf(other.kind));
  return findings.length > MOST_OF_ONE ? findings.slice(0, MOST_OF_ONE) : findings;
}
