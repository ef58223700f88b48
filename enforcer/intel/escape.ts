/** Bytes of an attacker as text that is safe in a terminal, a log line and a table. */

const HARMLESS = /^[\x20-\x5b\x5d-\x7e]*$/;

/** As escapeBytes, for a text with one character (U+0000 to U+00FF) for each byte; at most `longest` characters are shown, then `...`. */
export function escapeText(text: string, longest: number): string {
  const shown = text.length > longest ? text.slice(0, longest) : text;
  const escaped = HARMLESS.test(shown)
    ? shown
    : escapeBytes(
        Uint8Array.from(shown, character => character.charCodeAt(0)),
        longest,
      );
  return shown === text ? escaped : `${escaped}...`;
}

/** Printable ASCII as it is (backslash doubled), the rest as `\n`, `\r`, `\t` or `\x1b`; at most `longest` bytes are shown, then `...`. */
export function escapeBytes(bytes: Uint8Array, longest: number): string {
  let text = '';
  for (const byte of bytes.subarray(0, longest)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte === 0x0a) text += '\\n';
    else if (byte === 0x0d) text += '\\r';
    else if (byte === 0x09) text += '\\t';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return bytes.length > longest ? `${text}...` : text;
}

// C1 controls, zero-width and bidirectional marks, line separators: JSON lets them stand, a terminal or a reader of lines acts on them.
const UNPRINTABLE_IN_JSON = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** JSON text with the same meaning and nothing that a terminal acts on: such characters stand only inside its strings. */
export const safeJson = (text: string): string => text.replace(UNPRINTABLE_IN_JSON, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
