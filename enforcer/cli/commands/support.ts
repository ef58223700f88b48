/** `honeymesh support dump`: what a report needs, in one file, without secrets. Works without the daemon, which is then part of the report. */
import { hostname, release, totalmem, uptime } from 'node:os';
import { rfc3339 } from '@honeymesh/intel/time';
import type { Command } from 'commander';
import type { ControlClient } from '../../control/client.ts';
import { maskRow } from '../../control/masking.ts';
import { VERSION } from '../../version.ts';
import { readWhole } from '../arguments.ts';
import { type Context, instanceOf, readConfig, withDaemon } from '../context.ts';
import { newestFirst } from '../event-queries.ts';
import { fileSink, standardOutput } from '../sink.ts';
import { json } from '../terminal.ts';

const MOST_EVENTS = 100_000;

export function addSupport(program: Command, context: Context): void {
  const support = program.command('support').description('for reports of problems');

  support
    .command('dump')
    .description('write what a report needs into one file: status, doctor, configuration, versions, bans, peers and the last events (also without the daemon)')
    .option('--output <file>', 'where to; - is standard output. Without it: honeymesh-support-HOST-TIME.json here')
    .option('--events <count>', 'the last so many events', '1000')
    .addHelpText(
      'after',
      '\nKeys, tokens, secrets and the addresses of hooks are left out, guessed passwords are masked; addresses of attackers, peers and this host are in it.\nOne JSON object; what could not be learned is {failed: why}.',
    )
    .action(async ({ output, events }: { output?: string; events: string }, command: Command) => {
      const most = readWhole(events, { min: 0, max: MOST_EVENTS, what: 'number of events' });
      instanceOf(command, context); // a wrong one is a mistake of the command line, nothing to report
      const { createRedaction } = await import('../../health/redaction.ts');
      const loaded = await readConfig(command, context);
      const redact = createRedaction(loaded.ok ? await secretsOf(loaded.value.config) : []);
      const at = rfc3339(context.now());
      const report = {
        honeymesh: 'support-dump',
        at,
        machine: {
          host: hostname(),
          kernel: release(),
          node: process.version,
          platform: process.platform,
          arch: process.arch,
          memoryBytes: totalmem(),
          uptimeSeconds: Math.round(uptime()),
          version: VERSION,
        },
        config: await attempt(async () => {
          if (!loaded.ok) return { problems: loaded.problems };
          const { fileOf, withoutSecrets } = await import('../../config/units.ts');
          return { file: loaded.value.path, instance: loaded.value.instance, ...fileOf(withoutSecrets(loaded.value.config)) };
        }),
        doctor: await attempt(async () => {
          const { examine } = await import('../../health/doctor.ts');
          const { defaultConfig } = await import('../../config/units.ts');
          return examine(loaded.ok ? loaded.value : { config: defaultConfig, paths: context.pathsOf(instanceOf(command, context)) });
        }),
        daemon: await attempt(() => withDaemon(command, context, daemon => askAll(daemon, most))),
      };
      const path = output ?? `honeymesh-support-${hostname().replace(/[^\w.-]/g, '_')}-${at.replace(/[:.]/g, '')}.json`;
      const sink = path === '-' ? standardOutput(context.terminal) : await fileSink(path);
      try {
        await sink.write(`${json(redact(report))}\n`);
        await sink.done();
      } catch (error) {
        await sink.giveUp();
        throw error;
      }
      if (path !== '-') context.terminal.writeError(`wrote ${path}: look through it before you pass it on\n`);
    });
}

async function askAll(daemon: ControlClient, most: number): Promise<Readonly<Record<string, unknown>>> {
  return {
    status: await attempt(() => daemon.status()),
    config: await attempt(() => daemon.showConfig()),
    bans: await attempt(async () => (await daemon.listBans({})).slice(0, 1_000)),
    allowed: await attempt(() => daemon.listAllowed()),
    peers: await attempt(() => daemon.listPeers()),
    mesh: await attempt(() => daemon.meshStatus()),
    log: await attempt(() => daemon.logTip()),
    events: await attempt(async () => {
      const rows = [];
      for await (const page of newestFirst(daemon, {}, most)) rows.push(...page.map(maskRow));
      return rows;
    }),
  };
}

/** A part that cannot be learned is a part of the report. */
async function attempt(ask: () => Promise<unknown>): Promise<unknown> {
  try {
    return await ask();
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

/** Secrets that the configuration holds or points to: where they stand elsewhere, they are taken out too. */
async function secretsOf({
  mesh,
  notify,
}: {
  readonly mesh?: { readonly key?: string };
  readonly notify?: import('../../config/notify-fields.ts').NotifyConfig;
}): Promise<readonly string[]> {
  const { readFile } = await import('node:fs/promises');
  const files = [notify?.webhook?.urlFile, notify?.webhook?.secretFile, notify?.slack?.urlFile].filter(path => path !== undefined);
  const read = await Promise.all(files.map(path => readFile(path, 'utf8').catch(() => '')));
  const said = [mesh?.key, notify?.webhook?.url, notify?.webhook?.secret, notify?.slack?.url].filter(secret => secret !== undefined);
  return [...said, ...read.map(text => text.trim().slice(0, 4_096))];
}
