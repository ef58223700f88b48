/** `honeymesh unload`: takes enforcement off the kernel. Needs no daemon. */
import type { Command } from 'commander';
import { type Context, instanceOf } from '../context.ts';
import { printable } from '../terminal.ts';

export function addUnload(program: Command, context: Context): void {
  program
    .command('unload')
    .description('take enforcement off: detach the packet filter, remove the pinned maps (needs root, no daemon)')
    .action(async (_options: unknown, command: Command) => {
      const paths = context.pathsOf(instanceOf(command, context));
      const { unload } = await import('../../launch/unload.ts');
      const lines = await unload({ paths });
      context.terminal.write(lines.length === 0 ? 'nothing was loaded\n' : lines.map(line => `${printable(line)}\n`).join(''));
    });
}
