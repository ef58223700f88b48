/** What the doctor says of the mesh: its certificate, its clock, its port, and what the daemon knows of it. Nothing where there is no mesh. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { rfc3339, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Config } from '../config/config.ts';
import { MESH_PORT, readPlace } from '../config/mesh-fields.ts';
import type { InstancePaths } from '../config/paths.ts';
import type { MeshReport } from '../mesh/port.ts';
import { type Peek, peek } from '../mesh/thread/peek.ts';
import { keyNote } from '../mesh/thread/plan.ts';
import { type Finding, finding } from './findings.ts';
import { sockets } from './machine.ts';
import { TCP_LISTEN } from './machine-tables.ts';

const TOOL_MS = 3_000;

export async function meshFindings({ config, paths }: { readonly config: Config; readonly paths: InstancePaths }): Promise<readonly Finding[]> {
  const kept = await peek(join(paths.state, 'mesh'));
  if (config.mesh === undefined && kept.membership === null) return [];
  const note = keyNote(config.mesh, kept.keys);
  return [
    ...certificateFindings(kept, unixMs(Date.now())),
    ...(kept.certificate === null ? [] : [clockFinding(timeIsSet())]),
    ...(note?.differs === true ? [finding('mesh.key', null, note.text, null)] : []),
  ];
}

/** As the daemon says; its complaints have lines of their own. */
export function meshFinding(report: MeshReport, config: Config, membership: Peek['membership']): readonly Finding[] {
  if (report.state === 'off') return [];
  const well = report.state === 'joined' || report.state === 'alone';
  const as = report.name === null ? '' : `, as ${report.name}`;
  const bind = config.mesh?.bind ?? readPlace(membership?.bind ?? '', MESH_PORT);
  return [
    finding(
      'mesh',
      well ? true : report.state === 'starting' ? null : false,
      `${report.state}${as}: ${report.peers} peers alive, signatures ${report.signatures}`,
      '"honeymesh status" tells why',
    ),
    ...(well && bind !== undefined ? [portFinding(bind.port)] : []),
  ];
}

function certificateFindings({ certificate }: Peek, now: UnixMs): readonly Finding[] {
  if (certificate === null) return [finding('mesh certificate', null, 'this host has none: nobody takes its advice', '"honeymesh mesh join TOKEN" gets one')];
  const { nodeName, site, notBefore, notAfter } = certificate;
  const holds = notBefore <= now && now < notAfter;
  const why = `${nodeName} of site ${site}, from ${rfc3339(notBefore)} to ${rfc3339(notAfter)}`;
  return [
    finding('mesh certificate', holds, why, now < notBefore ? 'set the clock: it is before the certificate begins' : 'join anew: "honeymesh mesh join TOKEN"'),
  ];
}

/** Signed words count by the clock: 30 s ahead they are refused. */
function clockFinding(set: boolean | null): Finding {
  const why =
    set === null ? 'whether it is set by NTP cannot be told here' : set ? 'set by NTP' : 'not set by NTP: peers refuse what is signed 30 s ahead of their time';
  return finding('clock', set, why, set === false ? '"timedatectl set-ntp true", or run chrony or another NTP client' : null);
}

function timeIsSet(): boolean | null {
  const ran = spawnSync('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeout: TOOL_MS, encoding: 'utf8' });
  const said = ran.status === 0 ? ran.stdout.trim() : '';
  return said === 'yes' ? true : said === 'no' ? false : null;
}

function portFinding(port: number): Finding {
  const udp = sockets('udp').some(row => row.localPort === port);
  const tcp = sockets('tcp').some(row => row.localPort === port && row.state === TCP_LISTEN);
  const which = udp && tcp ? 'UDP and TCP' : udp ? 'UDP alone' : tcp ? 'TCP alone' : 'neither UDP nor TCP';
  return finding('mesh port', udp && tcp, `${port}: ${which} listen`, `"ss -lntup" shows who has port ${port}; peers need both, in both directions`);
}
