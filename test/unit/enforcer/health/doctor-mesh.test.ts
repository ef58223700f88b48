import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseConfig } from '#enforcer/config/load.ts';
import { pathsOf } from '#enforcer/config/paths.ts';
import { defaultConfig } from '#enforcer/config/units.ts';
import { meshFinding, meshFindings } from '#enforcer/health/doctor-mesh.ts';
import type { MeshReport } from '#enforcer/mesh/port.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { CLUSTER, real, trust } from '#test/support/hm1.ts';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'honeymesh-doctor-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const paths = () => ({ ...pathsOf('main'), state });
const report: MeshReport = { state: 'joined', peers: 2, name: 'h1', site: 'home', signatures: 'required', registrar: false };

async function certified(at: number): Promise<void> {
  const trusted = trust(real);
  const { certificate, edSecret, xSecret } = trusted.host('h1', 'lab', unixMs(at));
  const kept = createMeshState(join(state, 'mesh'));
  await kept.keepIdentity({ nodeName: 'h1', edSecret, xSecret });
  await kept.keepMembership({ bind: '0.0.0.0:7946', join: [], label: '', registrar: null });
  await kept.keepTrust({
    clusterId: CLUSTER,
    rootPublic: edPublicOf(trusted.rootSecret),
    certificate: certificate.bytes,
    registrars: [],
    revocations: [],
    names: [],
  });
}

test('of a mesh that is neither configured nor kept it says nothing', async () => {
  expect(await meshFindings({ config: defaultConfig, paths: paths() })).toEqual([]);
  expect(meshFinding({ ...report, state: 'off' }, defaultConfig, null)).toEqual([]);
});

test('it names who this host is, until when, and whether its clock is set', async () => {
  await certified(Date.now() - DAY_MS);
  const [certificate, clock] = await meshFindings({ config: defaultConfig, paths: paths() });
  expect(certificate).toMatchObject({ what: 'mesh certificate', ok: true, why: expect.stringContaining('h1 of site lab, from ') });
  expect(clock).toMatchObject({ what: 'clock' });
});

test.each([
  [-200 * DAY_MS, 'join anew'],
  [DAY_MS, 'set the clock'],
])('a certificate issued %d ms from now fails, with what mends it', async (ms, fix) => {
  await certified(Date.now() + ms);
  const [certificate] = await meshFindings({ config: defaultConfig, paths: paths() });
  expect(certificate).toMatchObject({ what: 'mesh certificate', ok: false, fix: expect.stringContaining(fix) });
});

test('a member that is down fails, one that is alone does not', () => {
  expect(meshFinding({ ...report, state: 'down' }, defaultConfig, null)).toMatchObject([{ what: 'mesh', ok: false }]);
  expect(meshFinding({ ...report, state: 'alone', peers: 0 }, defaultConfig, null)).toMatchObject([{ what: 'mesh', ok: true }]);
});

test('its port must listen over UDP and TCP', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const { config = defaultConfig } = parseConfig(`mesh: { bind: "0.0.0.0:${port}" }`, 'c');
  expect(meshFinding(report, config, null).at(-1)).toMatchObject({ what: 'mesh port', ok: false, why: `${port}: TCP alone listen` });
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  await new Promise(resolve => socket.once('listening', resolve));
  expect(meshFinding(report, config, null).at(-1)).toMatchObject({ what: 'mesh port', ok: true });
  socket.close();
  server.close();
});
