/** Cuts a byte stream into lines, with a bound on the longest. */

export interface LineCutter {
  /** The complete lines up to now, without their ends; `tooLong` once a line outgrew the bound: then the stream is lost. */
  push(bytes: Buffer): { readonly lines: readonly string[]; readonly tooLong: boolean };
}

const NEWLINE = 0x0a;

export function createLineCutter({ longestBytes }: { readonly longestBytes: number }): LineCutter {
  let parts: Buffer[] = [];
  let length = 0;
  let lost = false;

  return {
    push(bytes) {
      const lines: string[] = [];
      let from = 0;
      while (!lost) {
        const end = bytes.indexOf(NEWLINE, from);
        const until = end < 0 ? bytes.length : end;
        length += until - from;
        if (length > longestBytes) {
          lost = true;
          parts = [];
          break;
        }
        parts.push(bytes.subarray(from, until));
        if (end < 0) break;
        lines.push(Buffer.concat(parts).toString('utf8'));
        parts = [];
        length = 0;
        from = end + 1;
      }
      return { lines, tooLong: lost };
    },
  };
}
