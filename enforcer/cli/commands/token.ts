/** `honeymesh token status|rotate`: the dashboard's token. */
import type { Command } from 'commander';
import type { TokenReport } from '../../control/operations.ts';
import { readDuration } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { outputOption } from '../options.ts';
import { pairs } from '../terminal.ts';

export function addToken(program: Command, context: Context): void {
  const token = program.command('token').description("the dashboard's token");

  token
    .command('status')
    .description('since when it holds, where the dashboard is, and who was not let in')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {since, formerUntil|null, url|null, fingerprint|null, refused: {wrong, missing, limited, evidence}}')
    .action(async (_options: unknown, command: Command) => {
      show(command, context, await withDaemon(command, context, daemon => daemon.tokenStatus()), statusText);
    });

  token
    .command('rotate')
    .description('make a new token and show it, once; the former one is dead at once, its live feeds too')
    .option('--grace <duration>', 'so long the former one holds, too (5m, at most 24h): for a fleet')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {token, formerUntil|null, url|null}')
    .action(async ({ grace }: { grace?: string }, command: Command) => {
      const order = grace === undefined ? {} : { grace: readDuration(grace) };
      const rotated = await withDaemon(command, context, daemon => daemon.tokenRotate(order));
      show(command, context, rotated, ({ token: made, formerUntil, url }) =>
        pairs([
          ['token', `${made} (shown once)`],
          ['former one', formerText(formerUntil)],
          ['dashboard', url ?? 'it does not listen'],
        ]),
      );
    });
}

function statusText({ since, formerUntil, url, fingerprint, refused }: TokenReport): string {
  return pairs([
    ['dashboard', url ?? 'it does not listen'],
    ['certificate', fingerprint === null ? '-' : `SHA-256 ${fingerprint}`],
    ['token since', since],
    ['former one', formerText(formerUntil)],
    ['not let in', `${refused.wrong} wrong tokens, ${refused.missing} without one, ${refused.limited} while limited; ${refused.evidence} times evidence`],
  ]);
}

const formerText = (until: string | null): string => (until === null ? 'dead' : `holds until ${until}`);
