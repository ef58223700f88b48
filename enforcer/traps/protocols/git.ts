/** git-daemon (gitprotocol-pack): hears which repository is wanted, exports none. */
import { bytesOf } from './lines.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE } from './machine-talk.ts';
import { command, malformed } from './observation.ts';

const LONGEST_PACKET = 4096;
const LONGEST_PATH = 512;

/** A pkt-line: its length in four hex digits, themselves counted, then the text. */
export const packetLine = (text: string): string => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;

/** The machine of one connection. */
export function createGitTrap(context: TrapContext): TrapMachine {
  return createMachine(
    {
      protocol: 'git',
      longestMessage: LONGEST_PACKET,
      next(waiting) {
        if (waiting.length < 4) return MORE;
        const digits = waiting.toString('latin1', 0, 4);
        const length = /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : 0;
        // git-daemon hangs up on what is no request, without a word
        if (length <= 4 || length > LONGEST_PACKET) return { used: waiting.length, observations: [malformed('not a pkt-line')], close: true };
        if (waiting.length < length) return MORE;
        const [request = '', ...host] = waiting.toString('latin1', 4, length).replace(/\n$/, '').split('\0');
        const path = /^git-(?:upload-pack|receive-pack|upload-archive) (.*)$/s.exec(request)?.[1];
        if (path === undefined) return { used: waiting.length, observations: [malformed('not a git service')], close: true };
        const refused = packetLine(`ERR access denied or repository not exported: ${path.slice(0, LONGEST_PATH)}`);
        return { used: length, send: bytesOf(refused), observations: [command([request, ...host.filter(part => part !== '')].join(' '))], close: true };
      },
    },
    context.limits,
  );
}
