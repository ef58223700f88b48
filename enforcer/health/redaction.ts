/** Takes secrets out of what is passed on: by the names of keys, by what secrets look like, and those that are known, wherever they stand. */

const HIDDEN = '(left out)';
const MOST_DEPTH = 32;
/** A secret that is shorter could be any word. */
const SHORTEST_KNOWN = 8;

/** Keys of objects whose texts are secrets. Not `key`: in lists of peers that is the name of a public one. */
const SECRET_KEYS = /^(secret|password|passphrase|token|authorization|cookie|privateKey|private_key|groupKey|url|hook|apiKey|api_key)$/i;

const SHAPES: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\bhmj1_[\w-]+/g, // a token to join the mesh
  /\bwhsec_[\w+/=-]+/g,
  /\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}/gi,
  /\bX-HoneyMesh-Token:\s*\S+/gi,
  /([?&](?:token|key|secret|sig|signature|auth|access_token)=)[^&\s"']+/gi,
  /(\/\/)[^\s/@:]+:[^\s/@]+@/g, // user:password@ in an address
  /\bhttps?:\/\/(?:hooks\.slack\.com|discord(?:app)?\.com\/api\/webhooks|[\w.-]+\/hooks)\/\S+/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
];

/** `known`: secrets as they are. The result holds the same but for them. */
export function createRedaction(known: readonly string[]): (value: unknown) => unknown {
  const secrets = [...new Set(known.flatMap(formsOf))].filter(secret => secret.length >= SHORTEST_KNOWN).sort((one, other) => other.length - one.length);

  function text(given: string): string {
    let clean = given;
    for (const secret of secrets) clean = clean.replaceAll(secret, HIDDEN);
    for (const shape of SHAPES) clean = clean.replace(shape, (_whole: string, kept?: unknown) => `${typeof kept === 'string' ? kept : ''}${HIDDEN}`);
    return clean;
  }

  function redact(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return text(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth > MOST_DEPTH) return HIDDEN;
    if (Array.isArray(value)) return value.map(one => redact(one, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [text(key), SECRET_KEYS.test(key) && typeof inner === 'string' ? hidden(inner) : redact(inner, depth + 1)]),
    );
  }

  return value => redact(value, 0);
}

/** What is masked or left out already says more as it is. */
const hidden = (value: string): string => (/^\((set, not shown|left out)\)$|^\[\d+ characters?, [0-9a-f]{8}\]$/.test(value) ? value : HIDDEN);

/** As it is, and as others write the same bytes. Of an address, what stands behind the host is the secret. */
function formsOf(secret: string): readonly string[] {
  if (secret.trim() === '') return [];
  const path = URL.canParse(secret) ? new URL(secret).pathname + new URL(secret).search : secret;
  const base64 = Buffer.from(secret).toString('base64');
  return [
    secret,
    path,
    base64,
    base64.replace(/=+$/, ''),
    encodeURIComponent(secret),
    Buffer.from(secret).toString('hex'),
    JSON.stringify(secret).slice(1, -1),
    ...bytesOf(secret),
  ];
}

/** A key in base64 may also stand there in hex or in base64url. */
function bytesOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  if (bytes.length < 12 || bytes.toString('base64').replace(/=+$/, '') !== secret.replace(/^whsec_/, '').replace(/=+$/, '')) return [];
  return [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')];
}
