/** `honeymesh bans list|add|remove|import`. */
import { readFile } from 'node:fs/promises';
import { parseDuration } from '@honeymesh/intel/time';
import type { Command } from 'commander';
import type { BanRow, DryRunReport } from '../../control/operations.ts';
import { readDuration, readNote, readTarget, readTier } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { EXIT, usage } from '../failures.ts';
import { banLines } from '../import-lines.ts';
import { outputOption } from '../options.ts';
import { pairs, printable, table } from '../terminal.ts';

/** The daemon's clock ran on while it answered. */
const CLOCK_SLACK_MS = 5_000;
const BAN_JSON =
  '{target, tier: "E0"|"E1"|"E2"|"operator", reasons: [], origins: [], createdAt, expiresAt|null, droppedPackets, enforced, confined, fullAt|null}';

export function addBans(program: Command, context: Context): void {
  const bans = program.command('bans').description('who is dropped');

  bans
    .command('list')
    .description('all bans, with what each has dropped; shuns of the kernel (E0) too')
    .option('--target <target>', 'only what holds for this address or lies in this prefix')
    .option('--tier <tier>', 'only of this tier of evidence: E0, E1, E2 or operator')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: [${BAN_JSON}]`)
    .action(async ({ target, tier }: { target?: string; tier?: string }, command: Command) => {
      const query = { ...(target === undefined ? {} : { target: readTarget(target) }), ...(tier === undefined ? {} : { tier: readTier(tier) }) };
      const rows = await withDaemon(command, context, daemon => daemon.listBans(query));
      show(command, context, rows, list => bansText(list, context));
    });

  bans
    .command('add <target>')
    .description('ban an address or prefix by order: no evidence is needed, the allow-list still wins')
    .option('--ttl <duration>', 'how long, such as 24h; without it the ban has no end')
    .option('--note <text>', 'why, for those who read the list later')
    .option('--dry-run', 'say what would be hit, and change nothing')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nJSON: ${BAN_JSON}\nwith --dry-run: {target, refused|null, fix|null, addresses, allowedWithin: [], bystanders: [], bansWithin, coveredBy|null}`,
    )
    .action(async (text: string, options: { ttl?: string; note?: string; dryRun?: true }, command: Command) => {
      const order = { target: readTarget(text), ...terms(options) };
      if (options.dryRun === true) {
        const report = await withDaemon(command, context, daemon => daemon.dryRunBan({ target: order.target }));
        show(command, context, report, dryRunText);
        if (report.refused !== null) context.exitWith(EXIT.failed);
        return;
      }
      const row = await withDaemon(command, context, daemon => daemon.addBan(order));
      show(command, context, row, ban => bannedText(ban, order.ttl, context.now()));
    });

  bans
    .command('remove <target>')
    .description('lift a ban, or a shun of the kernel')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {removed: [target]}')
    .action(async (text: string, _options: unknown, command: Command) => {
      const target = readTarget(text);
      const report = await withDaemon(command, context, daemon => daemon.removeBan({ target }));
      show(command, context, report, ({ removed }) => removed.map(one => `lifted ${printable(one)}\n`).join(''));
    });

  bans
    .command('import <file>')
    .description('ban every address and prefix of a list, one a line; - reads standard input')
    .option('--ttl <duration>', 'how long, such as 24h; without it the bans have no end')
    .option('--note <text>', 'where the list is from')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nA line is a target; what follows it after a blank, a comma, # or ; is left out. Exit code 1 if a line was refused.\nJSON: {added, refused: [{line, text, why}]}',
    )
    .action(async (file: string, options: { ttl?: string; note?: string }, command: Command) => {
      const order = terms(options);
      const chunks = banLines(await readList(file, context));
      const report = await withDaemon(command, context, async daemon => {
        let added = 0;
        const refused: { readonly line: number; readonly text: string; readonly why: string }[] = [];
        for (const chunk of chunks) {
          const done = await daemon.importBans({ ...order, lines: chunk.map(one => one.target) });
          added += done.added;
          for (const { line, text, why } of done.refused) refused.push({ line: chunk[line - 1]?.line ?? line, text, why });
        }
        return { added, refused };
      });
      show(command, context, report, ({ added, refused }) =>
        [...refused.map(({ line, text, why }) => `line ${line}: ${printable(text)}: ${printable(why)}\n`), `banned ${added}, refused ${refused.length}\n`].join(
          '',
        ),
      );
      if (report.refused.length > 0) context.exitWith(EXIT.failed);
    });
}

/** An order never shortens a ban: who asked for less is told what holds, and how to get it. */
function bannedText({ target, expiresAt }: BanRow, ttl: string | undefined, now: number): string {
  const end = expiresAt === null ? 'without end' : `until ${printable(expiresAt)}`;
  const asked = ttl === undefined ? null : parseDuration(ttl);
  const longer = asked?.ok === true && (expiresAt === null || Date.parse(expiresAt) > now + asked.value + CLOCK_SLACK_MS);
  const why = longer
    ? `: an earlier ban lasts longer than ${printable(ttl ?? '')} ("honeymesh bans remove ${printable(target)}" first, for a shorter one)`
    : '';
  return `banned ${printable(target)} ${end}${why}\n`;
}

function terms({ ttl, note }: { readonly ttl?: string; readonly note?: string }): { readonly ttl?: string; readonly note?: string } {
  return { ...(ttl === undefined ? {} : { ttl: readDuration(ttl) }), ...(note === undefined ? {} : { note: readNote(note) }) };
}

const LONGEST_LIST_BYTES = 64 * 1024 * 1024;

async function readList(file: string, { terminal }: Context): Promise<string> {
  if (file === '-') {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of terminal.stdin) {
      const bytes = Buffer.from(part);
      length += bytes.length;
      if (length > LONGEST_LIST_BYTES) throw usage('the list is larger than 64 MiB', 'split it');
      parts.push(bytes);
    }
    return Buffer.concat(parts).toString('utf8');
  }
  try {
    const bytes = await readFile(file);
    if (bytes.length <= LONGEST_LIST_BYTES) return bytes.toString('utf8');
  } catch (error) {
    throw usage(
      `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      'name a file with one target a line, or - for standard input',
    );
  }
  throw usage('the list is larger than 64 MiB', 'split it');
}

function bansText(rows: readonly BanRow[], { terminal }: Context): string {
  if (rows.length === 0) return 'no bans\n';
  return table(
    rows,
    [
      { title: 'TARGET', of: row => row.target },
      { title: 'TIER', of: row => row.tier },
      { title: 'REASONS', of: row => row.reasons.join(',') },
      { title: 'ORIGINS', of: row => row.origins.join(',') },
      { title: 'SINCE', of: row => row.createdAt },
      { title: 'UNTIL', of: row => row.expiresAt ?? 'no end' },
      { title: 'DROPPED', of: row => String(row.droppedPackets), right: true },
      { title: 'ENFORCED', of: row => (row.enforced ? 'yes' : 'NO') },
      { title: 'NOTE', of: noteText },
    ],
    terminal,
  );
}

const noteText = ({ note, fullAt, provisional, advisers = [] }: BanRow): string =>
  [
    ...(fullAt === null ? [] : [`confined until ${fullAt}, then banned`]),
    ...(provisional === undefined ? [] : [`${provisional ? 'provisional, ' : ''}advised by ${advisers.map(({ site, signer }) => site ?? signer).join(', ')}`]),
    ...(note === undefined ? [] : [note]),
  ].join('; ');

function dryRunText(report: DryRunReport): string {
  return pairs([
    ['target', report.target],
    ['addresses', report.addresses],
    ...(report.refused === null
      ? [['would be', 'banned'] as const]
      : [['would be', `refused: ${report.refused}`] as const, ['fix', report.fix ?? ''] as const]),
    ['keep passing', report.allowedWithin.map(row => `${row.target} (${row.why})`).join(', ') || 'nobody: no allow-listed address is inside'],
    ['bystanders', report.bystanders.join(', ') || 'none known'],
    ['bans inside', String(report.bansWithin)],
    ['covered by', report.coveredBy ?? 'nothing'],
  ]);
}
