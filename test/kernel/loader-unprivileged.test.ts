/** The daemon's side: everything on pinned maps, nothing that needs a capability. */
import { readFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKernelLab, HOST, type KernelLab } from '#test/support/kernel-lab.ts';

const NOBODY = 65_534;
const NO_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
const DONE = { enforced: [true, true, true, true], swept: ['2001:db8:9::/64'], bans: 2, rules: 1, proven: 1, shuns: 0, lost: 0 };

let it: KernelLab;
beforeEach(() => {
  it = createKernelLab();
});
afterEach(() => {
  it[Symbol.dispose]();
  rmSync(`/run/hmt-state-${process.pid}`, { recursive: true, force: true });
});

const stateFile = () => `/run/hmt-state-${process.pid}/attachment.json`;
const prepare = (owner?: { uid: number; gid: number }) =>
  it.run(
    { do: 'load', pinDirectory: it.pins, ...(owner === undefined ? {} : { owner }) },
    { do: 'attach', interfaces: [{ name: 'eth0' }], xdpMode: 'auto', cgroupPath: null, stateFile: stateFile() },
    { do: 'own', pinDirectory: it.pins, addresses: [HOST.v4] },
  );
/** A SYN to one of two closed ports (a third would be a scan, and a shun) from the attacker's side, sent by whoever may (nsenter needs privilege: a helper outside does it). */
const probing = (): (() => void) => {
  const timer = setInterval(
    () => void it.attacker.run(['bash', '-c', `exec 3<>/dev/tcp/${HOST.v4}/${2_000 + Math.floor(Math.random() * 2)}`], { mayFail: true, timeoutMs: 500 }),
    200,
  );
  return () => clearInterval(timer);
};

test('uid 0 without any capability does all that the daemon does, and can make no map', async () => {
  await prepare();
  const stop = probing();
  const results = await it.attempt(
    [
      { do: 'exercise', pinDirectory: it.pins, probe: ['sleep', '0.1'] },
      { do: 'create-maps' },
      { do: 'attachment', pinDirectory: it.pins },
      { do: 'load', pinDirectory: it.pins },
      { do: 'command', command: ['grep', '-E', 'Cap(Eff|Prm|Bnd)', '/proc/self/status'] },
    ],
    NO_CAPABILITIES,
  );
  stop();
  expect(results[4]).toMatchObject({ ok: true, value: expect.stringMatching(/^(Cap\w+:\s+0{16}\n){3}$/) });
  expect(results[0]).toMatchObject({ ok: true, value: { ...DONE, event: { kind: expect.stringMatching(/touch|scan|suspect/), source: '10.77.0.2' } } });
  expect(results[1]).toMatchObject({ ok: true, value: -1 });
  expect(results[2]).toEqual({ ok: true, value: [{ name: 'eth0', xdp: 'native' }] });
  expect(results[3]).toMatchObject({ ok: false, code: 'HM_NOT_ROOT' });
});

test('a user of its own does the same on map pins that belong to it, and reads the attachment from the note', async () => {
  await prepare({ uid: NOBODY, gid: NOBODY });
  expect(JSON.parse(readFileSync(stateFile(), 'utf8'))).toMatchObject({ interfaces: [{ name: 'eth0' }] });
  const stop = probing();
  const results = await it.attempt([
    { do: 'become', uid: NOBODY },
    { do: 'exercise', pinDirectory: it.pins, probe: ['sleep', '0.1'] },
    { do: 'create-maps' },
    { do: 'attachment', pinDirectory: it.pins, stateFile: stateFile() },
    { do: 'unload', pinDirectory: it.pins },
  ]);
  stop();
  expect(results[1]).toMatchObject({ ok: true, value: { ...DONE, event: { source: '10.77.0.2' } } });
  expect(results[2]).toMatchObject({ ok: true, value: -1 });
  expect(results[3]).toEqual({ ok: true, value: [{ name: 'eth0', xdp: 'native' }] });
  expect(results[4]).toMatchObject({ ok: false, code: 'HM_NOT_ROOT' });
});

test('pins of another user are refused, and the error says whose they must be', async () => {
  await prepare();
  const results = await it.attempt([
    { do: 'become', uid: NOBODY },
    { do: 'bans', pinDirectory: it.pins },
  ]);
  expect(results[1]).toMatchObject({ ok: false, code: 'HM_NOT_ROOT', fix: expect.stringContaining('the user of the daemon') });
});

test('where nothing is loaded the daemon says how to start it', async () => {
  expect(await it.attempt([{ do: 'bans', pinDirectory: it.pins }])).toMatchObject([
    { ok: false, code: 'HM_NOT_FOUND', fix: expect.stringContaining('honeymesh run') },
  ]);
});
