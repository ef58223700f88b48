/** What the commands of the mesh print for people: what happened, and what is to be done next. */
import type { InviteReport, InviteRow, JoinReport, LeaveReport, MeshStatusReport, RevocationReport, RotationReport } from '../control/mesh-operations.ts';
import { pairs, printable, type Terminal, table } from './terminal.ts';

const REGISTRAR_JSON = '{key, sites: [], until}';
export const MESH_STATUS_JSON = `{state, name|null, site|null, key|null, cluster|null, signatures, certifiedUntil|null, renewsAt|null, renewsFrom|null, keyGeneration|null, peers,
registrar: {key, sites: [], until, address|null, openInvites, refusals}|null, registrars: [${REGISTRAR_JSON}]}`;
export const INVITE_JSON = '{id, site, createdAt, expiresAt, uses, used}';
export const ROTATION_JSON = '{generation, useAt, dropOldAt, hosts}';

export function meshStatusText(status: MeshStatusReport): string {
  const { registrar } = status;
  return pairs([
    ['mesh', `${status.state}${status.peers === 0 ? '' : `, ${count(status.peers, 'peer')} alive`}`],
    ...(status.name === null ? [] : [['name', status.name] as const]),
    ...(status.site === null ? [] : [['site', status.site] as const]),
    ...(status.cluster === null ? [] : [['cluster', status.cluster] as const]),
    ['signatures', status.signatures],
    ...(status.key === null ? [['certificate', 'none: "honeymesh mesh join TOKEN", or "honeymesh mesh init" for a new mesh'] as const] : []),
    ...(status.key === null ? [] : [['key', status.key] as const]),
    ...(status.certifiedUntil === null ? [] : [['certificate', `until ${status.certifiedUntil}; ${renewal(status)}`] as const]),
    ...(status.keyGeneration === null ? [] : [['group key', `generation ${status.keyGeneration}`] as const]),
    ...(registrar === null
      ? []
      : [
          ['this registrar', `${registrar.key} for ${registrar.sites.join(', ')} until ${registrar.until}`] as const,
          [
            'listens',
            `${registrar.address ?? 'NOT: see "honeymesh status"'}; ${count(registrar.openInvites, 'open invitation')}, ${count(registrar.refusals, 'refusal')} since the start`,
          ] as const,
        ]),
    ...status.registrars
      .filter(one => one.key !== registrar?.key)
      .map(one => ['registrar', `${one.key} for ${one.sites.join(', ')} until ${one.until}`] as const),
  ]);
}

const renewal = ({ renewsAt, renewsFrom }: MeshStatusReport): string =>
  renewsFrom === null ? 'no registrar is known to renew it' : `renewed by ${renewsFrom}${renewsAt === null ? '' : ` from ${renewsAt} on`}`;

/** `rootFile`: of a mesh that was just founded. */
export function initText(status: MeshStatusReport, rootFile: string | null): string {
  const { registrar } = status;
  const until = registrar === null ? '' : `until ${printable(registrar.until)}`;
  const head =
    rootFile === null
      ? `this host is a registrar for ${printable(registrar?.sites.join(', ') ?? '')} ${until}\n`
      : `founded a mesh: this host is ${printable(status.name ?? '')} of site ${printable(status.site ?? '')}, a registrar for ${printable(registrar?.sites.join(', ') ?? '')} ${until}\n`;
  const root =
    rootFile === null
      ? 'take the root file off this host again\n'
      : `next: move ${printable(rootFile)} off this host and keep it with its passphrase in two safe places: it is needed every 30 days, and to revoke a registrar\n`;
  return `${head}${root}${rootFile === null ? '' : 'then: honeymesh mesh invite                 # here, for each host\n      honeymesh mesh join TOKEN             # there, within the hour\n'}`;
}

export function inviteText({ token, site, expiresAt, uses, addresses, id }: InviteReport): string {
  return `${printable(token)}\n\n${pairs([
    ['invitation', `${id}, for ${uses === 1 ? 'one host' : `${uses} hosts`} of site ${site}, until ${expiresAt}`],
    ['registrar', addresses.join(', ')],
    ['next', 'honeymesh mesh join TOKEN, on the new host; give the token to nobody else'],
  ])}`;
}

export function invitesText(rows: readonly InviteRow[], terminal: Terminal): string {
  if (rows.length === 0) return 'no open invitations\n';
  return table(
    rows,
    [
      { title: 'ID', of: row => row.id },
      { title: 'SITE', of: row => row.site },
      { title: 'SINCE', of: row => row.createdAt },
      { title: 'UNTIL', of: row => row.expiresAt },
      { title: 'USED', of: row => `${row.used} of ${row.uses}` },
    ],
    terminal,
  );
}

export function joinText({ name, site, key, cluster, certifiedUntil, registrar, signatures, met }: JoinReport): string {
  return pairs([
    ['joined as', `${name} of site ${site}`],
    ['cluster', cluster],
    ['key', `${key}, certified by ${registrar.key} at ${registrar.address} until ${certifiedUntil}`],
    ...(signatures === 'off' ? [['signatures', 'OFF by the configuration (mesh.signatures): nobody is heard, and nobody hears this host'] as const] : []),
    met.length > 0
      ? (['met', met.slice(0, 16).join(', ') + (met.length > 16 ? ` and ${met.length - 16} more` : '')] as const)
      : (['met', 'nobody yet: is the port of the mesh (7946, UDP and TCP) open both ways? "honeymesh peers list" shows who is reached'] as const),
  ]);
}

export const rotationText = ({ generation, useAt, dropOldAt, hosts }: RotationReport): string =>
  `group key ${generation} was sealed to ${count(hosts, 'host')}; it is used from ${printable(useAt)} on, the old one is heard until ${printable(dropOldAt)}\n`;

export function revocationText({ name, key, by, number, fallen, rekeyed }: RevocationReport): string {
  const who =
    name === null
      ? `the registrar ${key}${fallen.length === 0 ? '' : `, and with it ${fallen.slice(0, 16).join(', ')}${fallen.length > 16 ? ` and ${fallen.length - 16} more` : ''}: they need tokens of another registrar`}`
      : `${name} (key ${key})`;
  const next = rekeyed === null ? 'it still has the group key: run "honeymesh mesh rotate-key --now" on a registrar\n' : rotationText(rekeyed);
  return `revoked ${printable(who)}, by ${by === 'root' ? 'the root' : 'this registrar'} (list ${number})\n${next}`;
}

export function leaveText({ goodbye, name, wasRegistrar, configured }: LeaveReport): string {
  const told = {
    told: 'the others were told',
    timeout: 'not all of the others may have been told: they will find out',
    alone: 'nobody was there to be told',
    down: 'the mesh was down, nobody was told: they will find out',
  }[goodbye];
  const removed = `certificate and keys were removed${wasRegistrar ? ', those of the registrar too' : ''}`;
  const still = configured
    ? 'the configuration still has `mesh`: this host goes on as a member without a certificate; take it out and restart to end that\n'
    : '';
  return `${printable(name ?? 'this host')} left the mesh; ${told}; ${removed}\n${still}`;
}

const count = (amount: number, what: string): string => `${amount} ${what}${amount === 1 ? '' : 's'}`;
