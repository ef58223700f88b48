/** `honeymesh events list|export|verify`. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { maskRow } from '../../control/masking.ts';
import type { EventRow } from '../../control/operations.ts';
import type { Verification } from '../../store/port.ts';
import type { ProofFinding } from '../../store/proof.ts';
import { readWhole } from '../arguments.ts';
import { type Context, instanceOf, show, withDaemon } from '../context.ts';
import { addFilters, type Filters, newestFirst, readFilters } from '../event-queries.ts';
import { eventsText } from '../event-text.ts';
import { EXIT } from '../failures.ts';
import { maskOption, outputOption } from '../options.ts';
import { pairs } from '../terminal.ts';
import { addExport } from './export.ts';

const EVENT_JSON = '{id, at, kind, source|null, port|null, protocol|null, tier|null, reasons: [], techniques: ["T1046"], origin|null, summary}';
const MOST_LISTED = 1_000_000;

export function addEvents(program: Command, context: Context): void {
  const events = program.command('events').description('what was seen and done');

  addFilters(events.command('list'))
    .description('events, newest first')
    .option('--limit <count>', 'at most so many', '100')
    .addOption(outputOption())
    .addOption(maskOption())
    .addHelpText('after', `\nJSON: [${EVENT_JSON}]`)
    .action(async ({ limit, mask, ...filters }: Filters & { limit: string; mask?: true }, command: Command) => {
      const most = readWhole(limit, { min: 1, max: MOST_LISTED, what: 'limit' });
      const query = readFilters(filters, context);
      const rows = await withDaemon(command, context, async daemon => {
        const found: EventRow[] = [];
        for await (const page of newestFirst(daemon, query, most)) found.push(...(mask === true ? page.map(maskRow) : page));
        return found;
      });
      show(command, context, rows, list => (list.length === 0 ? 'no events\n' : eventsText(list, context.terminal)));
    });

  addExport(events.command('export'), context);

  events
    .command('verify')
    .description('check the hash chain of the event log: nothing was changed, nothing taken out (needs no daemon)')
    .option('--proof <file>', 'also compare the proof of an export with the log, and with the export where it lies beside it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExit code 1 if the log was tampered with or is damaged.\nJSON: {ok: true, events, segments, sealed, head, firstId, lastId} or {ok: false, atId|null, segment|null, why};\nwith --proof also proof: {log: true|false|null, file: true|false|null, why}, null where it cannot be told',
    )
    .action(async ({ proof: proofPath }: { proof?: string }, command: Command) => {
      const { state } = context.pathsOf(instanceOf(command, context));
      const { verifyDirectory } = await import('../../store/verify.ts');
      const found = await verifyDirectory(state);
      const proof = proofPath === undefined ? null : await compare(state, proofPath);
      show(command, context, proof === null ? found : { ...found, proof }, () => verifiedText(found, proof));
      if (!found.ok || proof?.log === false || proof?.file === false) context.exitWith(EXIT.failed);
    });
}

/** The export lies beside its proof under the name that "events export" gave them. */
async function compare(state: string, proofPath: string): Promise<ProofFinding> {
  const { checkProof } = await import('../../store/proof.ts');
  const file = proofPath.endsWith('.proof.json') ? proofPath.slice(0, -'.proof.json'.length) : null;
  return checkProof(state, proofPath, file !== null && existsSync(file) ? file : null);
}

function verifiedText(found: Verification, proof: ProofFinding | null): string {
  return pairs([
    ...((found.ok
      ? [
          ['intact', `${found.events} events, ${found.firstId} to ${found.lastId}`],
          ['segments', `${found.segments}, ${found.sealed} of them sealed`],
          ['head', found.head],
        ]
      : [
          ['NOT intact', found.why],
          ['at event', String(found.atId ?? 'unknown')],
          ['in segment', String(found.segment ?? 'unknown')],
        ]) as [string, string][]),
    ...(proof === null ? [] : [[proof.log === false || proof.file === false ? 'proof FAILS' : 'proof', proof.why] as const]),
  ]);
}
