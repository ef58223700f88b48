/** `honeymesh hub enrol|status`. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { HUB_PORT } from '../../config/hub-fields.ts';
import { readPlace } from '../../config/mesh-fields.ts';
import type { StatusReport } from '../../control/operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import type { Enrolment } from '../../relay/enrolment/enrol.ts';
import type { Cloud } from '../../relay/enrolment/operator.ts';
import type { HubReport } from '../../relay/port.ts';
import { type Context, requireConfig, show, withDaemon } from '../context.ts';
import { usage } from '../failures.ts';
import { outputOption } from '../options.ts';
import { pairs, printable } from '../terminal.ts';

export const HUB_JSON =
  '{state: "off"|"starting"|"connecting"|"connected"|"introduced"|"down", endpoint|null, thing|null, waiting, head: {epoch, number}|null, receiptAt|null, advisoryAt|null, votesFrom|null}';

const LONGEST_CODE = 256;

interface EnrolFlags {
  readonly endpoint?: string;
  readonly signer?: readonly string[];
  readonly hub: string;
  readonly region?: string;
  readonly ca?: string;
  readonly rotate?: true;
  readonly claim?: string;
  readonly claimCertificate?: string;
  readonly claimKey?: string;
}

interface EnrolReport extends Enrolment {
  /** The daemon uses it; null: it does not run. */
  readonly hub: HubReport | null;
}

export function addHub(program: Command, context: Context): void {
  const hub = program.command('hub').description('the hub in the cloud, through which sites warn each other that do not meet');

  hub
    .command('enrol')
    .description("make this host known to the hub, with an operator's AWS credentials; again: what is missing is made")
    .option('--signer <key>', "the hub's signing key, as hub:deploy printed it; again for a second one", (one: string, all: readonly string[] = []) => [
      ...all,
      one,
    ])
    .option('--endpoint <host>', 'where the hub takes MQTT; without it AWS is asked')
    .option('--hub <name>', 'the name that the hub was deployed under', 'honeymesh')
    .option('--region <name>', 'where it is deployed (default: as the AWS tools have it)')
    .option('--ca <file>', "the root of the endpoint's certificate (default: Amazon's)")
    .option('--claim <code>', 'with a code of hub:code instead of credentials; - reads it from standard input')
    .option('--claim-certificate <file>', 'the certificate for claims, with --claim')
    .option('--claim-key <file>', 'its key')
    .option('--rotate', 'a new key and certificate; the former one holds until the next change')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nThe key is made here and stays here. Written are keys and certificates in the state directory, and hub in the configuration.\nJSON: {thing, certificateId, newCertificate, config, retired: [certificateId], order: {endpoint, thing, certificate, key, ca, signers}, hub: ${HUB_JSON}|null}`,
    )
    .action(async (flags: EnrolFlags, command: Command) => {
      (await import('../../launch/host.ts')).requireRoot('honeymesh hub enrol');
      const loaded = await requireConfig(command, context);
      const { enrol } = await import('../../relay/enrolment/enrol.ts');
      const cloud = flags.claim === undefined ? (await import('../../relay/enrolment/operator.ts')).createCloud(flags.region) : await claimOf(flags, context);
      const enrolled = await enrol(
        {
          paths: loaded.paths,
          configPath: loaded.path,
          before: loaded.config.hub ?? null,
          hub: flags.hub,
          signers: flags.signer ?? [],
          rotate: flags.rotate === true,
          now: context.now(),
          ...(flags.endpoint === undefined ? {} : { endpoint: flags.endpoint }),
          ...(flags.ca === undefined ? {} : { ca: flags.ca }),
        },
        cloud,
      );
      const inUse = await withDaemon(command, context, daemon => daemon.hubUse(enrolled.order)).catch((error: unknown) => {
        if (error instanceof HoneyMeshError && error.code === 'HM_DAEMON_DOWN') return null;
        throw error;
      });
      show(command, context, { ...enrolled, hub: inUse } satisfies EnrolReport, enrolText);
    });

  hub
    .command('status')
    .description('whether the hub knows this host, what waits for it and what it said last')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: ${HUB_JSON.slice(0, -1)}, degraded: [{why, fix}]}`)
    .action(async (_options: unknown, command: Command) => {
      const status = await withDaemon(command, context, daemon => daemon.status());
      const degraded = status.degraded.filter(({ part }) => part === 'hub').map(({ why, fix }) => ({ why, fix }));
      show(command, context, { ...status.hub, degraded }, hubText);
    });
}

/** Reads what a claim needs; the device SDK is loaded for it. */
async function claimOf(flags: EnrolFlags, context: Context): Promise<Cloud> {
  const { claimCertificate, claimKey, ca, hub } = flags;
  const place = readPlace(flags.endpoint ?? '', HUB_PORT);
  if (place === undefined || claimCertificate === undefined || claimKey === undefined)
    throw usage('--claim needs to know where the hub is, and the certificate for claims', 'give --endpoint, --claim-certificate and --claim-key (docs/hub.md)');
  const [{ createClaim }, { connectAws }, { amazonRoots }] = await Promise.all([
    import('../../relay/enrolment/claim.ts'),
    import('../../relay/transport.ts'),
    import('../../relay/enrolment/key-and-request.ts'),
  ]);
  const read = (path: string): Promise<string> =>
    readFile(path, 'utf8').catch((error: Error) =>
      Promise.reject(usage(`${path} cannot be read: ${error.message}`, 'name a PEM file that this user may read')),
    );
  const options = {
    ...place,
    certificate: await read(claimCertificate),
    key: await read(claimKey),
    ca: ca === undefined ? amazonRoots() : await read(ca),
    code: flags.claim === '-' ? await standardInput(context) : (flags.claim ?? ''),
    template: hub,
    nonce: randomUUID(),
  };
  return createClaim(options, connectAws);
}

async function standardInput({ terminal }: Context): Promise<string> {
  let text = '';
  for await (const part of terminal.stdin) {
    text += Buffer.from(part).toString('latin1');
    if (text.length > LONGEST_CODE) throw usage('that is no code: it is too long', 'give the code that "npm run hub:code" printed');
  }
  return text.trim();
}

function enrolText({ thing, newCertificate, certificateId, config, order, retired, hub }: EnrolReport): string {
  return [
    `${printable(thing)} is enrolled at the hub ${printable(order.endpoint)}`,
    `${newCertificate ? 'a new certificate' : 'the certificate that it had'}: ${certificateId.slice(0, 16)}, in ${order.certificate}`,
    ...(retired.length === 0 ? [] : [`${retired.length} former certificates do not hold any more`]),
    `written into ${config}: hub`,
    hub === null ? 'the daemon does not run: it uses the hub from its next start on' : 'the daemon uses it from now on ("honeymesh hub status")',
    '',
  ].join('\n');
}

const HUB_STATES: Readonly<Record<HubReport['state'], string>> = {
  off: 'off ("honeymesh hub enrol" sets it up)',
  starting: 'starting',
  connecting: 'NOT reached; what is to be reported waits',
  connected: 'reached, and not known there yet',
  introduced: 'connected and known',
  down: 'DOWN',
};

export const hubState = ({ state, endpoint, waiting }: StatusReport['hub']): string =>
  endpoint === null ? HUB_STATES[state] : [HUB_STATES[state], endpoint, ...(waiting > 0 ? [`${waiting} wait for a receipt`] : [])].join('; ');

function hubText(report: HubReport & { readonly degraded: readonly { readonly why: string; readonly fix: string }[] }): string {
  return pairs([
    ['hub', hubState(report)],
    ['thing', report.thing ?? '-'],
    ['waiting', String(report.waiting)],
    ['advisories', report.head === null ? 'none yet' : `all up to ${report.head.number}`],
    ['last advisory', report.advisoryAt ?? 'none since the start'],
    ['last receipt', report.receiptAt ?? 'none since the start'],
    ...(report.votesFrom !== null && report.votesFrom > new Date(0).toISOString() ? [['counts from', report.votesFrom] as const] : []),
    ...report.degraded.flatMap(({ why, fix }) => [['degraded', why] as const, ['  fix', fix] as const]),
  ]);
}
