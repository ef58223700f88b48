/** The keys of `notify`: what is told, how often, and to whom. Addresses of chats hold their password: neither they nor secrets are ever shown, not even wrong ones. */
import { EVENT_KINDS } from '@honeymesh/intel/events';
import * as z from 'zod';
import { list, oneOf } from './fields.ts';
import { type Place, placeText, readPlace } from './mesh-fields.ts';
import { nearest } from './nearest.ts';
import { bad } from './wording.ts';

export const FACILITIES = ['daemon', 'auth', 'authpriv', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'] as const;
export type Facility = (typeof FACILITIES)[number];
export const SYSLOG_TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
export type SyslogTransport = (typeof SYSLOG_TRANSPORTS)[number];

export interface HookConfig {
  /** One of the two. A secret: the address of a hook is all that it takes to write to it. */
  readonly url?: string;
  readonly urlFile?: string;
  /** PEM file; absent: the system's roots. */
  readonly ca?: string;
}

export interface NotifyConfig {
  readonly kinds: readonly string[];
  /** From the first event to its message, so that a burst is one. */
  readonly gatherMs: number;
  /** Between two messages. */
  readonly everyMs: number;
  readonly webhook?: HookConfig & { readonly secret?: string; readonly secretFile?: string };
  readonly slack?: HookConfig;
  readonly syslog?: { readonly server: Place; readonly transport: SyslogTransport; readonly facility: Facility; readonly ca?: string };
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const LONGEST_URL = 2_048;
const SHORTEST_SECRET = 16;
const STANDARD_PORTS: Readonly<Record<SyslogTransport, number>> = { udp: 514, tcp: 601, tls: 6514 };

export const hookUrl = z
  .string({ error: 'is no URL: give one such as https://hooks.example/honeymesh' })
  .max(LONGEST_URL, { error: `is longer than ${LONGEST_URL} characters` })
  .refine(isHookUrl, { error: 'is no URL that may be told anything: give https://..., or http:// to this host itself' })
  .meta({ title: 'https URL' })
  .optional();

export function isHookUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
}

export const hookSecret = z
  .string({ error: `is no secret: give at least ${SHORTEST_SECRET} characters` })
  .min(SHORTEST_SECRET, { error: `is shorter than ${SHORTEST_SECRET} characters; "openssl rand -base64 32" makes one` })
  .max(512, { error: 'is longer than 512 characters' })
  .meta({ title: 'secret' })
  .optional();

const PATH_FORM = 'the absolute path of a file';
export const secretPath = z
  .string({ error: issue => bad(issue.input, PATH_FORM) })
  .max(1_024, { error: issue => bad(issue.input, PATH_FORM) })
  .startsWith('/', { error: issue => bad(issue.input, PATH_FORM) })
  .meta({ title: 'path' })
  .optional();

const SERVER_FORM = 'a name or an address with or without a port, such as logs.example:6514';
export const syslogServer = z
  .string({ error: issue => bad(issue.input, SERVER_FORM) })
  .meta({ title: 'host[:port]' })
  .transform((text, context): Place => {
    const [read, otherwise] = [readPlace(text.trim(), 1), readPlace(text.trim(), 2)];
    if (read !== undefined) return read.port === otherwise?.port ? read : { ...read, port: 0 }; // none was said: the transport has one
    context.issues.push({ code: 'custom', message: bad(text, SERVER_FORM), input: text });
    return z.NEVER;
  });

export const syslogTransport = oneOf(
  SYSLOG_TRANSPORTS,
  'tls',
  '`tls` (RFC 5425), `tcp` (RFC 6587, octet counting) or `udp` (RFC 5426): only tls is read by nobody else.',
);
export const syslogFacility = oneOf(FACILITIES, 'auth', 'Facility of the messages.');

export const notifyKinds = list(
  z.enum(EVENT_KINDS, {
    error: issue => {
      const near = typeof issue.input === 'string' ? nearest(issue.input, EVENT_KINDS) : undefined;
      return `${bad(issue.input, 'an event kind')}${near === undefined ? '' : `; did you mean ${near}?`}`;
    },
  }),
  'a list of event kinds such as [ban, degraded]',
  EVENT_KINDS.length,
).prefault(['ban', 'degraded', 'auth']);

type Hook = Readonly<Record<'url' | 'urlFile', string | undefined>>;

export const hookComplaint = ({ url, urlFile }: Hook): { readonly key: string; readonly message: string } | undefined =>
  (url === undefined) === (urlFile === undefined) ? { key: 'url', message: 'give the address as either url or urlFile' } : undefined;

export const webhookComplaint = (hook: Hook & Readonly<Record<'secret' | 'secretFile', string | undefined>>): ReturnType<typeof hookComplaint> =>
  hookComplaint(hook) ??
  ((hook.secret === undefined) === (hook.secretFile === undefined)
    ? { key: 'secret', message: 'give the secret that signs the messages as either secret or secretFile' }
    : undefined);

interface NotifyFile {
  readonly kinds: readonly string[];
  readonly gather: number;
  readonly every: number;
  readonly webhook?: Readonly<Record<string, unknown>> | undefined;
  readonly slack?: Readonly<Record<string, unknown>> | undefined;
  readonly syslog?: { readonly server: Place; readonly transport: SyslogTransport; readonly facility: Facility; readonly ca?: string | undefined } | undefined;
}

export function notifyOf({ kinds, gather, every, webhook, slack, syslog }: NotifyFile): NotifyConfig {
  const port = syslog === undefined ? 0 : syslog.server.port || STANDARD_PORTS[syslog.transport];
  return {
    kinds: [...new Set(kinds)],
    gatherMs: gather,
    everyMs: every,
    ...(webhook === undefined ? {} : { webhook: said(webhook) }),
    ...(slack === undefined ? {} : { slack: said(slack) }),
    ...(syslog === undefined ? {} : { syslog: said({ ...syslog, server: { ...syslog.server, port } }) }),
  };
}

/** In the words of the file. `text`: a duration's. */
export function notifyFileOf(
  { kinds, gatherMs, everyMs, webhook, slack, syslog }: NotifyConfig,
  text: (ms: number) => string,
): Readonly<Record<string, unknown>> {
  return said({
    kinds,
    gather: text(gatherMs),
    every: text(everyMs),
    webhook,
    slack,
    syslog: syslog === undefined ? undefined : { ...syslog, server: placeText(syslog.server) },
  });
}

const HIDDEN = '(set, not shown)';

export function notifyWithoutSecrets({ webhook, slack, ...rest }: NotifyConfig): NotifyConfig {
  const hidden = <Hooked extends HookConfig & { readonly secret?: string }>(hook: Hooked): Hooked => ({
    ...hook,
    ...(hook.url === undefined ? {} : { url: HIDDEN }),
    ...(hook.secret === undefined ? {} : { secret: HIDDEN }),
  });
  return { ...rest, ...(webhook === undefined ? {} : { webhook: hidden(webhook) }), ...(slack === undefined ? {} : { slack: hidden(slack) }) };
}

/** Without what was not said. */
function said<Values extends object>(values: { readonly [Key in keyof Values]: Values[Key] | undefined }): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Values;
}
