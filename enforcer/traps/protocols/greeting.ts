/** Services that greet first and are played no further here: SSH's and rsync's first line, and who answers it. */
import { bytesOf, firstLine } from './lines.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE } from './machine-talk.ts';
import { command, fingerprint, payload } from './observation.ts';

const LONGEST_LINE = 1024;

/** OpenSSH's identification (RFC 4253, 4.2), and the client's. */
export function createSshGreetingTrap(context: TrapContext): TrapMachine {
  let identified = false;
  return createMachine(
    {
      protocol: 'ssh',
      longestMessage: LONGEST_LINE,
      greet: () => ({ used: 0, send: bytesOf(`SSH-2.0-${context.persona.versions.ssh}\r\n`) }),
      next(waiting) {
        // What follows is key exchange: it is kept, not answered, and prolongs nothing.
        if (identified) return { used: waiting.length, unfinished: true, observations: [payload('ssh', waiting.toString('latin1'))] };
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        if (!line.text.startsWith('SSH-')) return { used: line.used, send: bytesOf('Invalid SSH identification string.\r\n'), close: true };
        identified = true;
        return { used: line.used, observations: [fingerprint('ssh-client', line.text)] };
      },
    },
    context.limits,
  );
}

/** rsync's daemon without modules to list. */
export function createRsyncTrap(context: TrapContext): TrapMachine {
  let identified = false;
  return createMachine(
    {
      protocol: 'rsync',
      longestMessage: LONGEST_LINE,
      greet: () => ({ used: 0, send: bytesOf(`@RSYNCD: ${context.persona.versions.rsync}\n`) }),
      next(waiting) {
        const line = firstLine(waiting);
        if (line === undefined) return MORE;
        if (!identified) {
          identified = true;
          if (line.text.startsWith('@RSYNCD: ')) return { used: line.used, observations: [fingerprint('rsync-client', line.text)] };
          return { used: line.used, send: bytesOf(`@ERROR: protocol startup error\n`), observations: [command(line.text)], close: true };
        }
        const listing = line.text === '' || line.text === '#list';
        const answer = listing ? '@RSYNCD: EXIT\n' : `@ERROR: Unknown module '${line.text.slice(0, 256)}'\n`;
        return { used: line.used, send: bytesOf(answer), observations: [command(line.text)], close: true };
      },
    },
    context.limits,
  );
}
