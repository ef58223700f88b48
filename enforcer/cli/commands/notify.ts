/** `honeymesh notify test`. */
import { type Command, Option } from 'commander';
import { CHANNELS } from '../../notify/port.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { EXIT, usage } from '../failures.ts';
import { outputOption } from '../options.ts';
import { printable } from '../terminal.ts';

export function addNotify(program: Command, context: Context): void {
  const notify = program.command('notify').description('who is told what happens');

  notify
    .command('test')
    .description('send a test message through each channel of the configuration, and tell whether it arrived')
    .addOption(new Option('--channel <channel>', 'only through this one').choices([...CHANNELS]))
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nOver UDP nobody answers: "sent" is all that can be told. Exit code 1 if one failed.\nJSON: [{channel, ok: true|false, why|null, fix|null, tookMs}]',
    )
    .action(async ({ channel }: { channel?: string }, command: Command) => {
      const reports = await withDaemon(command, context, daemon => daemon.notifyTest(channel === undefined ? {} : { channel }));
      if (reports.length === 0) {
        const what = channel === undefined ? 'no channel is' : `notify.${channel} is not`;
        throw usage(`${what} configured`, 'set notify.webhook, notify.slack or notify.syslog and start the daemon again (docs/notifications.md)');
      }
      show(command, context, reports, list =>
        list
          .map(({ channel: name, ok, why, fix, tookMs }) =>
            ok ? `${name}: sent (${tookMs} ms)\n` : `${name}: FAILED: ${printable(why ?? '')}\n${fix === null ? '' : `  fix: ${printable(fix)}\n`}`,
          )
          .join(''),
      );
      if (reports.some(report => !report.ok)) context.exitWith(EXIT.failed);
    });
}
