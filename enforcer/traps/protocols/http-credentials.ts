/** Credentials in HTTP requests: the Authorization header, and the fields of log-in forms in all the ways they are sent. Hostile; never throws. */
import { headerOf, type RequestHead } from './http-request.ts';
import { fromBase64 } from './lines.ts';
import { credentials, LONGEST_PAYLOAD, type Observation } from './observation.ts';

const USER_FIELD =
  /^(?:user|user_?name|usr|login|log|e?mail|uid|account|uname|name|admin|j_username|pma_username|os_username|login_?user(?:name)?|log_?name|frashnum)$/i;
const SECRET_FIELD = /^(?:pass|pass_?w(?:or)?d|pwd|psw|secret|pw|passwort|j_password|pma_password|os_password|login_?pass(?:word)?|luci_password)$/i;
const MOST_FIELDS = 64;

/** What the request tries to log in with; `body` is the beginning of its body. */
export function credentialsIn(request: RequestHead, body: string): readonly Observation[] {
  const seen: Observation[] = [];
  for (const name of ['authorization', 'proxy-authorization']) {
    const header = headerOf(request, name);
    const tried = header === undefined ? undefined : fromHeader(header);
    if (tried !== undefined) seen.push(tried);
  }
  const question = request.target.indexOf('?');
  const fields = body === '' ? (question < 0 ? [] : formFields(request.target.slice(question + 1))) : bodyFields(headerOf(request, 'content-type') ?? '', body);
  const secret = fields.find(([name]) => SECRET_FIELD.test(name))?.[1];
  if (secret !== undefined) seen.push(credentials(fields.find(([name]) => USER_FIELD.test(name))?.[1] ?? '', secret));
  return seen;
}

function fromHeader(header: string): Observation | undefined {
  const space = header.indexOf(' ');
  const scheme = header.slice(0, space < 0 ? header.length : space).toLowerCase();
  const value = space < 0 ? '' : header.slice(space + 1).trim();
  if (scheme === 'basic') {
    const pair = fromBase64(value);
    const colon = pair.indexOf(':');
    return colon < 0 ? credentials(pair, '') : credentials(pair.slice(0, colon), pair.slice(colon + 1));
  }
  if (scheme === 'digest') return digestCredentials(value);
  return value === '' ? undefined : credentials('', value, scheme.slice(0, 32));
}

/** What a Digest header (RFC 7616) tells; SIP and RTSP use the same. The secret is the response. */
export function digestCredentials(parameters: string): Observation {
  const parameter = (name: string): string => new RegExp(`(?:^|[\\s,])${name}="?([^",]{0,256})`, 'i').exec(parameters.slice(0, 4096))?.[1] ?? '';
  return credentials(parameter('username'), parameter('response'), 'digest');
}

type Field = readonly [name: string, value: string];

function bodyFields(type: string, body: string): readonly Field[] {
  const start = body.trimStart();
  if (/json/i.test(type) || start.startsWith('{')) return jsonFields(body);
  if (start.startsWith('<')) return xmlRpcFields(body);
  return formFields(body);
}

function formFields(text: string): readonly Field[] {
  return text.split('&', MOST_FIELDS).map(pair => {
    const equals = pair.indexOf('=');
    return equals < 0 ? ([decoded(pair), ''] as const) : ([decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))] as const);
  });
}

/** Percent encoding undone byte by byte: what is no encoding stays as it is. */
export const percentDecoded = (text: string): string => text.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
const decoded = (text: string): string => percentDecoded(text.replaceAll('+', ' '));

function jsonFields(body: string): readonly Field[] {
  if (body.length >= LONGEST_PAYLOAD) return [];
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body, 'latin1').toString('utf8'));
  } catch {
    return [];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .slice(0, MOST_FIELDS)
    .flatMap(([name, field]) =>
      typeof field === 'string' || typeof field === 'number' ? [[name, Buffer.from(String(field)).toString('latin1')] as const] : [],
    );
}

/** `wp.getUsersBlogs` and its like carry user and password as the first two strings (WordPress' xmlrpc.php). */
function xmlRpcFields(body: string): readonly Field[] {
  if (!/<methodName>\s*(?:wp|metaWeblog|blogger)\./i.test(body)) return [];
  const strings = [...body.matchAll(/<value>\s*(?:<string>)?([^<]{0,256})/gi)].slice(0, 4).map(([, text = '']) => text);
  return strings.length < 2 ? [] : [['user', strings.at(-2) ?? ''] as const, ['pass', strings.at(-1) ?? ''] as const];
}
