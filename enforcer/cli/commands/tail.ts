/** `honeymesh tail`: events as they happen. */
import type { Command } from 'commander';
import { maskRow } from '../../control/masking.ts';
import { type Context, withDaemon } from '../context.ts';
import { eventLine } from '../event-text.ts';
import { maskOption, outputOption } from '../options.ts';
import { json } from '../terminal.ts';

export function addTail(program: Command, context: Context): void {
  program
    .command('tail')
    .description('events as they happen, until Ctrl-C')
    .addOption(outputOption())
    .addOption(maskOption())
    .addHelpText('after', '\nJSON: one event a line, as in "events list".')
    .action(async ({ output, mask }: { output: string; mask?: true }, command: Command) => {
      const { terminal } = context;
      const line = output === 'json' ? (row: unknown): string => json(row, 0) : eventLine;
      await withDaemon(command, context, daemon =>
        daemon.follow(
          row => terminal.write(`${line(mask === true ? maskRow(row) : row)}\n`),
          context.interrupted(),
          missed => terminal.writeError(`honeymesh: ${missed} events came faster than they could be printed; "honeymesh events list" has them\n`),
        ),
      );
    });
}
