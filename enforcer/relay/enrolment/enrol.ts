/** `hub enrol`, step by step: who this host is, a certificate for it, where the hub is, all of it written down. */
import { chown, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubConfig } from '../../config/config.ts';
import { isThingName } from '../../config/hub-fields.ts';
import { placeText } from '../../config/mesh-fields.ts';
import { DEFAULT_CONFIG_PATH, type InstancePaths } from '../../config/paths.ts';
import type { HubOrder } from '../../control/operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import { replaceFile } from '../../mesh/state/files.ts';
import { peek } from '../../mesh/thread/peek.ts';
import { withHub } from './config-text.ts';
import { amazonRoots, newKeyAndRequest } from './key-and-request.ts';
import type { Cloud, EnrolmentOrder } from './operator.ts';

export interface EnrolOptions {
  readonly paths: InstancePaths;
  /** null: there is no file yet. */
  readonly configPath: string | null;
  /** What the configuration has of the hub now. */
  readonly before: HubConfig | null;
  /** Names policy and thing type. */
  readonly hub: string;
  readonly endpoint?: string;
  readonly signers: readonly string[];
  /** PEM file; absent: Amazon's roots. */
  readonly ca?: string;
  readonly rotate: boolean;
  readonly now: number;
}

export interface Enrolment {
  readonly order: HubOrder;
  readonly thing: string;
  readonly certificateId: string;
  readonly newCertificate: boolean;
  readonly config: string;
  /** Certificates of this host that hold no longer. */
  readonly retired: readonly string[];
}

const CERTIFICATE = /^host-([0-9a-f]{8,128})\.pem$/;
const pathsOf = (directory: string, id: string) => ({ certificate: join(directory, `host-${id}.pem`), key: join(directory, `host-${id}.key`) });

/** Rejects with what an operator can mend. */
export async function enrol(options: EnrolOptions, cloud: Cloud): Promise<Enrolment> {
  const { paths, before, now } = options;
  const directory = `${paths.state}/hub`;
  const order = await orderOf(options);
  const signers = options.signers.length > 0 ? options.signers : (before?.signers ?? []);
  if (signers.length === 0)
    throw new HoneyMeshError('HM_USAGE', "the hub's signing key is not known", {
      fix: 'give --signer: "npm run hub:deploy" printed it, and .cache/hub/outputs.json has it',
    });
  const endpoint = options.endpoint ?? (before === null ? await cloud.endpoint() : placeText(before.endpoint));
  await cloud.enrol(order);

  const current = certificateIdOf(before?.certificate);
  const keep = current !== null && !options.rotate && (await cloud.holds(order.thing, current)) && (await isThere(before?.key));
  const certificateId = keep ? current : await newCertificate(order, directory, cloud);
  const files = keep && before !== null ? { certificate: before.certificate, key: before.key } : pathsOf(directory, certificateId);
  const ca = join(directory, 'ca.pem');
  if (options.ca !== undefined) await replaceFile(ca, await readFile(options.ca, 'utf8'), { ownFolder: true });
  else if (before?.ca === undefined) await replaceFile(ca, amazonRoots(), { ownFolder: true });
  await own(directory, paths.state);

  const hub: HubOrder = { endpoint, thing: order.thing, ...files, ca: options.ca === undefined ? (before?.ca ?? ca) : ca, signers };
  const config = options.configPath ?? DEFAULT_CONFIG_PATH;
  const text = options.configPath === null ? '' : await readFile(config, 'utf8');
  const written = withHub(text, config, hub);
  if (written !== text) await replaceKeepingMode(config, written);
  // Two at a time: the former one serves until the daemon has taken the new one, and until the next change at the latest.
  const retired = keep ? [] : await cloud.retire(order, [certificateId, ...(current === null ? [] : [current])]);
  await forget(directory, [certificateId, ...(current === null ? [] : [current])]);
  return { order: hub, thing: order.thing, certificateId, newCertificate: !keep, config, retired };

  async function orderOf({ hub: name }: EnrolOptions): Promise<EnrolmentOrder> {
    const { certificate } = await peek(`${paths.state}/mesh`);
    if (certificate === null)
      throw new HoneyMeshError('HM_REFUSED', 'this host has no certificate of a mesh, by which the hub would know it', {
        fix: 'be a member first: "honeymesh mesh join TOKEN", or "honeymesh mesh init" for a new mesh',
      });
    const { nodeName, kid, site } = certificate;
    if (!isThingName(nodeName))
      throw new HoneyMeshError('HM_REFUSED', `this host is ${nodeName} in the mesh, which cannot be the name of a thing: IoT allows letters, digits, - and _`, {
        fix: 'join the mesh under another name: "honeymesh mesh leave", then "honeymesh mesh join TOKEN --name NAME"',
      });
    return { thing: nodeName, kid, site, policy: `${name}-host`, thingType: `${name}-host`, enrolledAt: now };
  }
}

async function newCertificate(order: EnrolmentOrder, directory: string, cloud: Cloud): Promise<string> {
  const { key, request } = await newKeyAndRequest(order.thing);
  // The key first: a certificate whose key was lost is of no use.
  const draft = join(directory, 'new.key');
  await replaceFile(draft, key, { ownFolder: true });
  const { certificate, certificateId } = await cloud.certify(order, request);
  const files = pathsOf(directory, certificateId);
  await replaceFile(files.key, key, { ownFolder: true });
  await replaceFile(files.certificate, certificate, { ownFolder: true });
  await rm(draft, { force: true });
  return certificateId;
}

const certificateIdOf = (path: string | undefined): string | null => CERTIFICATE.exec(path?.split('/').at(-1) ?? '')?.[1] ?? null;

const isThere = (path: string | undefined): Promise<boolean> =>
  path === undefined
    ? Promise.resolve(false)
    : stat(path).then(
        () => true,
        () => false,
      );

/** As the state directory: packaged, the daemon is not root. */
async function own(directory: string, like: string): Promise<void> {
  const { uid, gid } = await stat(like);
  if (process.geteuid?.() !== 0) return;
  for (const path of [directory, ...(await readdir(directory)).map(name => join(directory, name))]) await chown(path, uid, gid);
}

/** Files of certificates before the last. */
async function forget(directory: string, but: readonly string[]): Promise<void> {
  for (const name of await readdir(directory)) {
    const id = certificateIdOf(name);
    if (id === null || but.includes(id)) continue;
    const files = pathsOf(directory, id);
    await Promise.all([rm(files.certificate, { force: true }), rm(files.key, { force: true })]);
  }
}

async function replaceKeepingMode(path: string, text: string): Promise<void> {
  const { chmod } = await import('node:fs/promises');
  const before = await stat(path).catch(() => null);
  await replaceFile(path, text);
  await chmod(path, before === null ? 0o644 : before.mode & 0o777);
  if (before !== null && process.geteuid?.() === 0) await chown(path, before.uid, before.gid);
}
