/** `honeymesh explain ADDRESS`: the whole chain of reasons. */
import type { Command } from 'commander';
import { maskReport } from '../../control/masking.ts';
import type { ExplainReport } from '../../control/operations.ts';
import { readAddress } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { eventsText } from '../event-text.ts';
import { maskOption, outputOption } from '../options.ts';
import { receiptText } from '../receipt-text.ts';
import { json, pairs, printable } from '../terminal.ts';

export function addExplain(program: Command, context: Context): void {
  program
    .command('explain <address>')
    .description('why an address is dropped or not: verdict, ban, allow-list, what the kernel holds, what was seen, what would lift it')
    .addOption(outputOption())
    .addOption(maskOption())
    .addHelpText(
      'after',
      '\nJSON: {address, verdict: "dropped"|"confined"|"shunned"|"policed"|"allowed"|"free", because, ban|null, allow|null, kernel, steps: [{at|null, what}], events: [], receipts: [{event, at, port|null, trap, kind, rules: [], head (base64), receivedBytes, sentBytes, durationMs, end, findings: [{rule, reason, kind, quote}], credentials: [{user, secret, scheme?}], fingerprints: [{name, value}], transcript: [{atMs, kind, text}], omitted}], lifts|null, sharable: {yes, why}}',
    )
    .action(async (text: string, { mask }: { mask?: true }, command: Command) => {
      const address = readAddress(text);
      const report = await withDaemon(command, context, daemon => daemon.explain({ address }));
      show(command, context, mask === true ? maskReport(report) : report, one => explainText(one, context));
    });
}

function explainText(report: ExplainReport, context: Context): string {
  const { ban, allow } = report;
  const held = Object.entries(report.kernel).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0));
  return [
    `${printable(report.address)} is ${report.verdict}: ${printable(report.because)}\n`,
    pairs([
      ...(ban === null
        ? []
        : [
            [
              '  ban',
              `${ban.target}, ${ban.tier}, ${ban.reasons.join(' ')}, since ${ban.createdAt}, ${ban.expiresAt === null ? 'no end' : `until ${ban.expiresAt}`}, ${ban.droppedPackets} packets dropped${ban.fullAt === null ? '' : `, confined to the traps until ${ban.fullAt}`}`,
            ] as const,
          ]),
      ...(allow === null ? [] : [['  allow', `${allow.target} (${allow.cause}): ${allow.why}`] as const]),
      ...held.map(([name, value]) => [`  kernel ${printable(name)}`, typeof value === 'string' ? value : json(value, 0)] as const),
      ['  lifts', report.lifts ?? 'nothing to lift'],
      ['  shared', `${report.sharable.yes ? 'yes' : 'no'}: ${report.sharable.why}`],
    ]),
    report.steps.length === 0 ? '' : `\nHow it came to this:\n${pairs(report.steps.map(({ at, what }) => [`  ${at ?? '-'}`, what] as const))}`,
    report.receipts.length === 0 ? '' : `\nWhat it said in the traps:\n${report.receipts.map(receiptText).join('')}`,
    report.events.length === 0 ? '' : `\nEvents:\n${eventsText(report.events, context.terminal)}`,
  ].join('');
}
