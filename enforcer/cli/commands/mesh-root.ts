/** The commands that need the offline root: `honeymesh mesh init`, and `mesh revoke` where a registrar's word does not reach. Its secret stays in this process. */
import { REGISTRAR_LIFE_MS } from '@honeymesh/intel/certificates';
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import type { Command } from 'commander';
import type { ControlClient } from '../../control/client.ts';
import type { MeshPreparation, MeshStatusReport, RevocationReport } from '../../control/mesh-operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { usage } from '../failures.ts';
import { initText, MESH_STATUS_JSON, ROTATION_JSON, revocationText } from '../mesh-text.ts';
import { outputOption } from '../options.ts';
import { PASSPHRASE_VARIABLE, readPassphrase } from '../passphrase.ts';

interface InitOptions {
  readonly site?: string;
  readonly sites?: string;
  readonly rootFile?: string;
  readonly passphraseFile?: string;
  readonly name?: string;
  readonly bind?: string;
}

const PASSPHRASE_HELP = `The passphrase is asked for on the terminal, or read from --passphrase-file (its first line) or ${PASSPHRASE_VARIABLE}.`;

export function addMeshRoot(mesh: Command, context: Context): void {
  mesh
    .command('init')
    .description('found a mesh, with this host as its first registrar; run again with its root file: renew this host as a registrar, or make it one')
    .option('--site <site>', "this host's site: hosts that fall together are one; mesh.site where the configuration has it")
    .option('--sites <sites>', 'for which this registrar may certify hosts, separated by commas; without it: --site alone, or those of before')
    .requiredOption('--root-file <file>', 'where the root is kept, encrypted: written for a new mesh, read for one that is there')
    .option('--passphrase-file <file>', 'whose first line is the passphrase of the root')
    .option('--name <name>', "of this host in the mesh; without it the host's name")
    .option('--bind <address:port>', 'where this member listens (default: 0.0.0.0:7946); mesh.bind of the configuration wins')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\n${PASSPHRASE_HELP}\nKeep the root file off the hosts: it is needed every 30 days, and to revoke a registrar.\nJSON: ${MESH_STATUS_JSON}`,
    )
    .action(async (options: InitOptions, command: Command) => {
      const report = await withDaemon(command, context, daemon => initialise(options, daemon, context));
      show(command, context, report.status, status => initText(status, report.founded ? (options.rootFile ?? '') : null));
    });

  mesh
    .command('revoke <target>')
    .description(
      'take out a host (name or key) and give the others a new group key; on the registrar that certified it, or with the root for any host or registrar',
    )
    .option('--root-file <file>', 'revoke by the root')
    .option('--passphrase-file <file>', 'whose first line is the passphrase of the root')
    .addOption(outputOption())
    .addHelpText('after', `\n${PASSPHRASE_HELP}\nJSON: {name|null, key, by: "registrar"|"root", number, fallen: [name], rekeyed: ${ROTATION_JSON}|null}`)
    .action(async (target: string, { rootFile, passphraseFile }: { rootFile?: string; passphraseFile?: string }, command: Command) => {
      const report = await withDaemon(command, context, daemon =>
        rootFile === undefined ? daemon.meshRevoke({ target }) : revokeByRoot(target, { rootFile, passphraseFile }, daemon, context),
      );
      show(command, context, report, revocationText);
    });
}

async function initialise(
  options: InitOptions,
  daemon: ControlClient,
  context: Context,
): Promise<{ readonly status: MeshStatusReport; readonly founded: boolean }> {
  const { existsFile, makeRoot, readRoot, unlock } = await import('../root-file.ts');
  const { rootFile = '', passphraseFile: file, name, bind } = options;
  const prepared = await daemon.meshPrepare(name === undefined ? {} : { name });
  const isMember = prepared.cluster !== null;
  const there = await existsFile(rootFile);
  if (!isMember && there) {
    throw usage(
      `${rootFile} is there already, and this host is no member of its mesh`,
      'for a new mesh name another file; to make this host a registrar of that mesh, let it join first ("honeymesh mesh join TOKEN")',
    );
  }
  if (isMember && !there)
    throw usage(
      `${rootFile} is not there, and this host is a member of a mesh already`,
      'name the root file of its mesh; "honeymesh mesh leave" first for a new one',
    );
  const order = orderOf(options, prepared);
  if (!isMember) {
    const { root, remove } = await makeRoot(rootFile, await readPassphrase({ file, fresh: true }, context));
    try {
      return { status: await certify(root, order, prepared, daemon, context, bind), founded: true };
    } catch (error) {
      await remove(); // of a mesh that never was
      throw error;
    }
  }
  const { text, rootPublic } = await readRoot(rootFile);
  if (Buffer.from(rootPublic).toString('base64') !== prepared.rootPublic) {
    throw usage(`${rootFile} is the root of another mesh`, 'name the root file of the mesh that this host is a member of');
  }
  const root = await unlock(rootFile, text, await readPassphrase({ file, fresh: false }, context));
  return { status: await certify(root, order, prepared, daemon, context, bind), founded: false };
}

interface Order {
  readonly site: string;
  readonly sites: readonly string[];
  readonly name: string;
}

function orderOf({ site: given, sites: list }: InitOptions, prepared: MeshPreparation): Order {
  const site = given ?? prepared.site;
  if (site === null) throw usage('this host has no site', 'give --site: hosts that fall together (a rack, an office, a provider) are one');
  if (prepared.cluster !== null && given !== undefined && given !== prepared.site) {
    throw usage(`this host is certified for the site ${prepared.site}`, 'leave --site out; for another site let it leave and join again');
  }
  const wanted = (list ?? '')
    .split(',')
    .map(one => one.trim())
    .filter(one => one !== '');
  const former = prepared.cluster === null ? [] : prepared.sites;
  const sites = wanted.length > 0 ? wanted : former.length > 0 ? former : [site];
  return { site, sites: [...new Set(prepared.cluster === null ? [site, ...sites] : sites)], name: prepared.name };
}

async function certify(
  root: { readonly clusterId: Uint8Array; readonly secret: Uint8Array },
  { site, sites, name }: Order,
  { registrarKey }: MeshPreparation,
  daemon: ControlClient,
  { now }: Context,
  bind: string | undefined,
): Promise<MeshStatusReport> {
  const { issueRegistrarCertificate } = await import('../../mesh/signed/certificates.ts');
  const { createEd25519, edPublicOf } = await import('../../mesh/signed/keys.ts');
  const notBefore = unixMs(Math.floor(now() / SECOND_MS) * SECOND_MS);
  const request = { clusterId: root.clusterId, sites, edPublic: bytes64(registrarKey), notBefore, notAfter: unixMs(notBefore + REGISTRAR_LIFE_MS) };
  let certificate: Uint8Array;
  try {
    certificate = issueRegistrarCertificate(request, root.secret, createEd25519()).bytes;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw usage(
      `${sites.join(', ')}: not all of these are sites`,
      'a site has 1 to 31 letters, digits, dots, dashes and underscores; a registrar has 32 sites at the most',
    );
  }
  return daemon.meshInit({
    certificate: text64(certificate),
    rootPublic: text64(edPublicOf(root.secret)),
    cluster: text64(root.clusterId),
    site,
    name,
    ...(bind === undefined ? {} : { bind }),
  });
}

async function revokeByRoot(
  target: string,
  { rootFile, passphraseFile: file }: { readonly rootFile: string; readonly passphraseFile: string | undefined },
  daemon: ControlClient,
  context: Context,
): Promise<RevocationReport> {
  const { readRoot, unlock } = await import('../root-file.ts');
  const { text } = await readRoot(rootFile);
  const draft = await daemon.meshDraftRevocation({ target });
  const root = await unlock(rootFile, text, await readPassphrase({ file, fresh: false }, context));
  const { issueRevocations, readRevocations } = await import('../../mesh/signed/revocations.ts');
  const { createEd25519, edPublicOf, kidOf } = await import('../../mesh/signed/keys.ts');
  const rootPublic = edPublicOf(root.secret);
  if (text64(rootPublic) !== draft.rootPublic)
    throw usage(`${rootFile} is the root of another mesh`, 'name the root file of the mesh that this host is a member of');
  const former = draft.former === null ? null : readRevocations(bytes64(draft.former));
  if (former !== null && !former.ok)
    throw new HoneyMeshError('HM_REFUSED', 'the former list of the root cannot be read', { fix: '"honeymesh status" says whether the mesh is well' });
  const kid = draft.key as ReturnType<typeof kidOf>;
  const entries = [...(former?.value.entries.filter(entry => entry.kid !== kid) ?? []), { kid, notAfter: unixMs(Date.parse(draft.notAfter)) }];
  const list = issueRevocations(
    { clusterId: root.clusterId, number: (former?.value.number ?? 0) + 1, entries },
    { kid: kidOf(rootPublic), secret: root.secret },
    createEd25519(),
    context.now(),
  );
  return daemon.meshPublishRevocation({ key: draft.key, list: text64(list.bytes) });
}

const text64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
