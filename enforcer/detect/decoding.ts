/** Undoes what hides words from a rule: percent encoding in its ways, escapes of JSON and of shells, Log4j's nested look-ups. Bounded, linear, never throws. */

/** Rounds of percent decoding: servers behind proxies undo two, and attackers hope for that. */
const MOST_ROUNDS = 3;

export interface Decoded {
  readonly text: string;
  /** More was undone than a client has reason to do: an encoding of an encoding, overlong UTF-8, `%u`. */
  readonly layered: boolean;
}

/** A target or a form: percent encoding undone until there is none left, `+` a space, SQL comments a space, Log4j look-ups resolved. */
export function decodeTarget(raw: string): Decoded {
  let text = raw;
  let rounds = 0;
  let strange = false;
  while (rounds < MOST_ROUNDS && text.includes('%')) {
    const next = percentDecoded(text);
    if (next.text === text) break;
    strange ||= next.strange;
    text = next.text;
    rounds++;
  }
  if (text.includes('+')) text = text.replaceAll('+', ' ');
  if (text.includes('/*')) text = withoutComments(text);
  return resolved(text, strange || rounds > 1);
}

/** A body: JSON's and JavaScript's `\u0041`, `\x41`, `\/` undone, then as a target. */
export function decodeBody(raw: string): Decoded {
  return decodeTarget(raw.includes('\\') ? withoutEscapes(raw) : raw);
}

/** A header: only what frameworks undo. */
export const decodeHeader = (raw: string): Decoded => (raw.includes('%') || raw.includes('${') ? decodeTarget(raw) : { text: raw, layered: false });

/** A line to a shell: quotes inside words, backslashes, `${IFS}` and empty variables hide nothing from it. */
export function decodeShell(raw: string): Decoded {
  if (!/['"\\$]/.test(raw)) return { text: raw, layered: false };
  const escaped = raw.includes('\\x') || raw.includes('\\0') ? withoutEscapes(raw) : raw;
  const text = escaped
    .replace(/\$\{?IFS\}?(?:\$[1-9@*])?/g, ' ')
    .replace(/\$[@*!]/g, '')
    .replace(/['"\\]/g, '');
  return { text, layered: text !== raw };
}

const HEX = /^[0-9a-fA-F]+$/;

function percentDecoded(text: string): { readonly text: string; readonly strange: boolean } {
  let out = '';
  let strange = false;
  let from = 0;
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at)) {
    let used = 0;
    let character = '';
    const two = text.slice(at + 1, at + 3);
    if (two.length === 2 && HEX.test(two)) {
      const byte = Number.parseInt(two, 16);
      used = 3;
      character = String.fromCharCode(byte);
      // Overlong UTF-8: an ASCII character written in two bytes. No encoder writes it; some decoders take it.
      if ((byte === 0xc0 || byte === 0xc1) && text[at + 3] === '%') {
        const second = text.slice(at + 4, at + 6);
        if (second.length === 2 && HEX.test(second)) {
          character = String.fromCharCode((((byte & 0x1f) << 6) | (Number.parseInt(second, 16) & 0x3f)) & 0x7f);
          used = 6;
          strange = true;
        }
      }
    } else if (two[0] === 'u' || two[0] === 'U') {
      const four = text.slice(at + 2, at + 6);
      if (four.length === 4 && HEX.test(four)) {
        const code = Number.parseInt(four, 16);
        character = byteOf(code);
        used = 6;
        strange ||= code < 0x80;
      }
    }
    if (used === 0) {
      at++;
      continue;
    }
    out += text.slice(from, at) + character;
    at += used;
    from = at;
  }
  return { text: from === 0 ? text : out + text.slice(from), strange };
}

/** Full-width forms are what best-fit mappings make ASCII of; the rest keeps its low byte. */
const byteOf = (code: number): string => String.fromCharCode((code >= 0xff01 && code <= 0xff5e ? code - 0xfee0 : code) & 0xff);

/** `\u0041`, `\x41`, `\101`, `\/`, `\n`. */
const withoutEscapes = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|(.))/gs, (all, wide?: string, byte?: string, octal?: string, other?: string) => {
    if (wide !== undefined) return byteOf(Number.parseInt(wide, 16));
    if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    switch (other) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case '/':
      case '"':
      case '\\':
        return other;
      default:
        return all;
    }
  });

/** `UNION/**\/SELECT` is `UNION SELECT`; what MySQL runs in spite of the comment (`/*!50000 ... *\/`) stays. */
function withoutComments(text: string): string {
  let out = '';
  let from = 0;
  for (let at = text.indexOf('/*'); at >= 0; at = text.indexOf('/*', at)) {
    const end = text.indexOf('*/', at + 2);
    if (end < 0) break;
    const runs = text[at + 2] === '!';
    out += `${text.slice(from, at)} ${runs ? text.slice(at + 3, end).replace(/^\d{5}/, '') : ''} `;
    at = end + 2;
    from = at;
  }
  return from === 0 ? text : out + text.slice(from);
}

const MOST_OPEN = 32;

/** Log4j's look-ups, innermost first: `${lower:J}`, `${upper:j}`, `${::-j}`, `${env:NOTHING:-j}` are all a j. */
function resolved(text: string, layered: boolean): Decoded {
  if (!text.includes('${')) return { text, layered };
  const outer: string[] = [];
  let inner = '';
  let folded = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '$' && text[at + 1] === '{' && outer.length < MOST_OPEN) {
      outer.push(inner);
      inner = '';
      at++;
    } else if (text[at] === '}' && outer.length > 0) {
      const value = lookedUp(inner);
      folded ||= value !== undefined;
      inner = (outer.pop() ?? '') + (value ?? `\${${inner}}`);
    } else inner += text[at];
  }
  return { text: [...outer, inner].join('${'), layered: layered || folded };
}

function lookedUp(inner: string): string | undefined {
  if (inner.startsWith('jndi:')) return undefined;
  const fallback = inner.lastIndexOf(':-');
  if (fallback >= 0) return inner.slice(fallback + 2);
  const colon = inner.indexOf(':');
  if (colon < 0) return undefined;
  const name = inner.slice(0, colon).toLowerCase();
  return name === 'lower' || name === 'upper' || name === 'date' ? inner.slice(colon + 1) : undefined;
}
