/** `honeymesh allow list|add|remove`. */
import type { Command } from 'commander';
import type { AllowRow } from '../../control/operations.ts';
import { readNote, readTarget } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { outputOption } from '../options.ts';
import { printable, table } from '../terminal.ts';

const ALLOW_JSON = '{target, cause: "config"|"operator"|"own"|"gateway"|"dns"|"session", why, since}';

export function addAllow(program: Command, context: Context): void {
  const allow = program.command('allow').description('who is never dropped');

  allow
    .command('list')
    .description('all that is allowed: by the configuration, by order, and by itself (own addresses, gateway, DNS, open admin sessions)')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: [${ALLOW_JSON}]`)
    .action(async (_options: unknown, command: Command) => {
      const rows = await withDaemon(command, context, daemon => daemon.listAllowed());
      show(command, context, rows, list => allowText(list, context));
    });

  allow
    .command('add <target>')
    .description('allow an address or prefix at once; it lasts until removed')
    .option('--note <text>', 'why, for those who read the list later')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: ${ALLOW_JSON}`)
    .action(async (text: string, { note }: { note?: string }, command: Command) => {
      const order = { target: readTarget(text), ...(note === undefined ? {} : { note: readNote(note) }) };
      const row = await withDaemon(command, context, daemon => daemon.addAllowed(order));
      show(command, context, row, one => `allowed ${printable(one.target)} (${printable(one.why)})\n`);
    });

  allow
    .command('remove <target>')
    .description('take an order back; what the configuration allows is removed there')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {removed: [target]}')
    .action(async (text: string, _options: unknown, command: Command) => {
      const target = readTarget(text);
      const report = await withDaemon(command, context, daemon => daemon.removeAllowed({ target }));
      show(command, context, report, ({ removed }) => removed.map(one => `no longer allowed: ${printable(one)}\n`).join(''));
    });
}

function allowText(rows: readonly AllowRow[], { terminal }: Context): string {
  if (rows.length === 0) return 'nothing is allowed\n';
  return table(
    rows,
    [
      { title: 'TARGET', of: row => row.target },
      { title: 'CAUSE', of: row => row.cause },
      { title: 'SINCE', of: row => row.since },
      { title: 'WHY', of: row => row.why },
    ],
    terminal,
  );
}
