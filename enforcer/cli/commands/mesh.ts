/** `honeymesh mesh init|invite|join|status|rotate-key|revoke|leave`. */
import type { Command } from 'commander';
import { readDuration, readWhole } from '../arguments.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { usage } from '../failures.ts';
import { INVITE_JSON, invitesText, inviteText, joinText, leaveText, MESH_STATUS_JSON, meshStatusText, ROTATION_JSON, rotationText } from '../mesh-text.ts';
import { collect, outputOption } from '../options.ts';
import { addMeshRoot } from './mesh-root.ts';

const LONGEST_STDIN = 4_096;

export function addMesh(program: Command, context: Context): void {
  const mesh = program.command('mesh').description('peers that warn each other: who belongs to them, and by which keys');

  addMeshRoot(mesh, context);

  mesh
    .command('status')
    .description("this host's place in the mesh: certificate, keys, registrars")
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: ${MESH_STATUS_JSON}`)
    .action(async (_options: unknown, command: Command) => {
      const report = await withDaemon(command, context, daemon => daemon.meshStatus());
      show(command, context, report, meshStatusText);
    });

  mesh
    .command('invite')
    .description('make a token for a host that is to join; on a registrar')
    .option('--site <site>', "of the new host; without it this host's own")
    .option('--ttl <duration>', 'how long the token is good, 1h at the most (default: 1h)')
    .option('--address <host:port>', 'where the new host finds this registrar (repeatable); without it: its own addresses', collect)
    .option('--uses <count>', 'so many hosts may join with it (default: 1)')
    .option('--list', 'show the open invitations instead')
    .option('--cancel <id>', 'take one back instead')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nThe token is a secret until it was used. JSON: ${INVITE_JSON} and token, addresses: []\nwith --list: [${INVITE_JSON}]; with --cancel: {cancelled: id}`,
    )
    .action(async (options: InviteOptions, command: Command) => {
      if (options.list === true) {
        const rows = await withDaemon(command, context, daemon => daemon.meshInvites());
        return show(command, context, rows, list => invitesText(list, context.terminal));
      }
      if (options.cancel !== undefined) {
        const id = options.cancel.toLowerCase().slice(0, 16);
        const report = await withDaemon(command, context, daemon => daemon.meshCancelInvite({ id }));
        return show(command, context, report, ({ cancelled }) => `cancelled ${cancelled}\n`);
      }
      const { site, ttl, address, uses } = options;
      const order = {
        ...(site === undefined ? {} : { site }),
        ...(ttl === undefined ? {} : { ttl: readDuration(ttl) }),
        ...(address === undefined ? {} : { addresses: address }),
        ...(uses === undefined ? {} : { uses: readWhole(uses, { min: 1, max: 64, what: 'number of uses' }) }),
      };
      const report = await withDaemon(command, context, daemon => daemon.meshInvite(order));
      show(command, context, report, inviteText);
    });

  mesh
    .command('join <token>')
    .description('become a member with a token of a registrar; - reads it from standard input')
    .option('--name <name>', "of this host in the mesh; without it the host's name")
    .option('--bind <address:port>', 'where this member listens (default: 0.0.0.0:7946); mesh.bind of the configuration wins')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {name, key, site, cluster, certifiedUntil, registrar: {address, key}, keyGeneration, signatures, met: [name]}')
    .action(async (text: string, { name, bind }: { name?: string; bind?: string }, command: Command) => {
      const token = text === '-' ? await standardInput(context) : text;
      const order = { token, ...(name === undefined ? {} : { name }), ...(bind === undefined ? {} : { bind }) };
      const report = await withDaemon(command, context, daemon => daemon.meshJoin(order));
      show(command, context, report, joinText);
    });

  mesh
    .command('rotate-key')
    .description('give all members a new group key; on a registrar')
    .option('--now', 'use it in seconds and not in minutes: who is away fetches it from a registrar')
    .addOption(outputOption())
    .addHelpText('after', `\nJSON: ${ROTATION_JSON}`)
    .action(async (options: { now?: true }, command: Command) => {
      const report = await withDaemon(command, context, daemon => daemon.meshRotateKey(options.now === true ? { now: true } : {}));
      show(command, context, report, rotationText);
    });

  mesh
    .command('leave')
    .description("say goodbye to the mesh and remove this host's certificate and keys")
    .option('--registrar', 'also where this host is a registrar')
    .addOption(outputOption())
    .addHelpText('after', '\nJSON: {goodbye: "told"|"timeout"|"alone"|"down", name|null, wasRegistrar, configured}')
    .action(async (options: { registrar?: true }, command: Command) => {
      const report = await withDaemon(command, context, daemon => daemon.meshLeave(options.registrar === true ? { registrar: true } : {}));
      show(command, context, report, leaveText);
    });
}

interface InviteOptions {
  readonly site?: string;
  readonly ttl?: string;
  readonly address?: readonly string[];
  readonly uses?: string;
  readonly list?: true;
  readonly cancel?: string;
}

async function standardInput({ terminal }: Context): Promise<string> {
  let text = '';
  for await (const part of terminal.stdin) {
    text += Buffer.from(part).toString('latin1');
    if (text.length > LONGEST_STDIN) throw usage('that is no token: it is too long', 'give the token that "honeymesh mesh invite" printed');
  }
  return text.trim();
}
