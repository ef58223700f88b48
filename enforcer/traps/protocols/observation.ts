/** Observations as the machines make them: every text bounded and lossless, one character (U+0000 to U+00FF) for each byte. */
import type { Observation } from '@honeymesh/intel/observations';

export type { Observation };

export const LONGEST_CREDENTIAL = 256;
export const LONGEST_LINE = 1024;
export const LONGEST_TARGET = 2048;
export const LONGEST_PAYLOAD = 4096;
export const MOST_HEADERS = 32;
const LONGEST_HEADER = 512;

/** At most this many in a session: a source must not make us write without end. */
export const MOST_OBSERVATIONS = 256;

export function credentials(user: string, secret: string, scheme?: string): Observation {
  const tried = { kind: 'credentials', user: user.slice(0, LONGEST_CREDENTIAL), secret: secret.slice(0, LONGEST_CREDENTIAL) } as const;
  return scheme === undefined ? tried : { ...tried, scheme };
}

export const command = (line: string): Observation => ({ kind: 'command', line: line.slice(0, LONGEST_LINE) });

export function request(method: string, target: string, headers: readonly (readonly [string, string])[]): Observation {
  return {
    kind: 'request',
    method: method.slice(0, 32),
    target: target.slice(0, LONGEST_TARGET),
    headers: headers.slice(0, MOST_HEADERS).map(([name, value]) => [name.slice(0, 64), value.slice(0, LONGEST_HEADER)] as const),
  };
}

/** `bytes` is the whole size where more came than is kept. */
export function payload(name: string, content: string, bytes: number = content.length): Observation {
  return { kind: 'payload', name: name.slice(0, 64), content: content.slice(0, LONGEST_PAYLOAD), bytes };
}

export const fingerprint = (name: string, value: string): Observation => ({ kind: 'fingerprint', name, value: value.slice(0, LONGEST_LINE) });

/** `why` is ours, never the attacker's text. */
export const malformed = (why: string): Observation => ({ kind: 'malformed', why });
