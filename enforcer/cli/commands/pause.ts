/** `honeymesh pause 5m`, `honeymesh pause off`. */
import type { Command } from 'commander';
import { readDuration } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { outputOption } from '../options.ts';
import { printable } from '../terminal.ts';

export function addPause(program: Command, context: Context): void {
  program
    .command('pause <duration>')
    .description('drop nothing for a while (5m, at most 24h): decided and counted all the same; "off" ends it. The kernel ends it by itself')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {pausedUntil|null}')
    .action(async (text: string, _options: unknown, command: Command) => {
      const duration = text === 'off' ? 'off' : readDuration(text);
      const report = await withDaemon(command, context, daemon => daemon.pause({ duration }));
      show(command, context, report, ({ pausedUntil }) =>
        pausedUntil === null ? 'enforcement is on\n' : `nothing is dropped until ${printable(pausedUntil)}; "honeymesh pause off" ends it\n`,
      );
    });
}
