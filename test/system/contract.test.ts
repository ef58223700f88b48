/** The operator's contract on a running enforcer, as scripts and people meet it: exit codes, JSON, orders, failures of the disk, other users. */
import { readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BanRow, StatusReport } from '#enforcer/control/operations.ts';
import type { Finding } from '#enforcer/health/findings.ts';
import type { PeerRow } from '#enforcer/mesh/port.ts';
import { createEnforcerHost, type EnforcerHost, eventually, HONEYMESH, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const OFFICE = '10.77.0.9';
const STRANGER = '10.77.0.66';

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost;
let running: RunningEnforcer;

beforeAll(async () => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  lab.link(
    { namespace: host, device: 'eth0', addresses: ['10.77.0.1/24', 'fd77::1/64'] },
    { namespace: outside, device: 'eth0', addresses: [`${OFFICE}/24`, `${STRANGER}/24`, '10.77.0.65/24', '10.77.0.40/24', 'fd77::2/64', 'fd77::3/64'] },
  );
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${OFFICE}]\nlog: { level: warn }\n`);
  running = enforcer.run();
  await running.ready();
});
afterAll(async () => {
  try {
    await enforcer.remove();
  } finally {
    lab.remove();
  }
});

const reaches = async (source: string): Promise<boolean> => {
  const to = source.includes(':') ? 'fd77::1' : '10.77.0.1';
  return (await outside.run(['ping', '-c1', '-W1', '-I', source, to], { mayFail: true })).code === 0;
};
const ban = (target: string): Promise<BanRow> => enforcer.json<BanRow>(['bans', 'add', target, '--ttl', '1h']);

describe('orders', () => {
  test('a prefix is banned around what is allowed in it', async () => {
    expect(await ban('10.77.0.8/29')).toMatchObject({ target: '10.77.0.8/29', tier: 'operator', origins: ['operator'], enforced: true });
    expect(await reaches(OFFICE)).toBe(true);
    expect(await ban('10.77.0.64/27')).toMatchObject({ enforced: true });
    expect(await reaches(STRANGER)).toBe(false);
    await enforcer.honeymesh(['allow', 'add', STRANGER]);
    expect([await reaches(STRANGER), await reaches('10.77.0.65')]).toEqual([true, false]);
    await enforcer.honeymesh(['allow', 'remove', STRANGER]);
    expect(await reaches(STRANGER)).toBe(false);
  });

  test('a ban ends at its second, and is gone from the list', async () => {
    const { expiresAt } = await enforcer.json<BanRow>(['bans', 'add', '10.77.0.40', '--ttl', '3s']);
    const endMs = Date.parse(expiresAt ?? '');
    while (Date.now() < endMs - 1_200) expect(await reaches('10.77.0.40')).toBe(false);
    await new Promise(resolve => setTimeout(resolve, endMs + 50 - Date.now()));
    expect(await reaches('10.77.0.40')).toBe(true);
    expect((await enforcer.json<BanRow[]>(['bans', 'list'])).map(row => row.target)).not.toContain('10.77.0.40/32');
  });

  test('a single IPv6 address is banned without its neighbours in the /64', async () => {
    // Both live on one machine with one neighbour table: it is filled first, since the banned one's solicitations are dropped.
    expect(await reaches('fd77::3')).toBe(true);
    expect(await ban('fd77::2')).toMatchObject({ target: 'fd77::2/128', enforced: true });
    expect([await reaches('fd77::3'), await reaches('fd77::2')]).toEqual([true, false]);
    await enforcer.honeymesh(['bans', 'remove', 'fd77::2']);
    await eventually('it is let in again', () => reaches('fd77::2')); // neighbour discovery was dropped as well
  });

  test('fifty at once are all done', async () => {
    const targets = Array.from({ length: 50 }, (_, at) => `203.0.113.${at + 1}`);
    const ran = await Promise.all(targets.map(target => enforcer.honeymesh(['bans', 'add', target, '--ttl', '1h'], { mayFail: true })));
    expect(ran.filter(({ code }) => code !== 0)).toEqual([]);
    const listed = (await enforcer.json<BanRow[]>(['bans', 'list', '--target', '203.0.113.0/24'])).map(row => row.target);
    expect(listed.toSorted()).toEqual(targets.map(target => `${target}/32`).toSorted());
  });

  test('what would lock out is refused with the reason and code 1', async () => {
    for (const target of ['0.0.0.0/0', '::/0', '127.0.0.1', '10.77.0.1', '10.77.0.0/24', OFFICE, 'ff02::1', 'fe80::1']) {
      const { code, stderr } = await enforcer.honeymesh(['bans', 'add', target], { mayFail: true });
      expect([code, stderr], target).toEqual([1, expect.stringMatching(/^honeymesh: .* is not banned: .*\nfix: .+\n$/)]);
    }
  });
});

test('doctor looks at the interfaces of its own network namespace', async () => {
  const found = await enforcer.json<Finding[]>(['doctor']);
  expect(found.filter(({ ok }) => ok === false)).toEqual([]);
  expect(found).toContainEqual({ what: 'interface eth0', ok: true, why: 'there', fix: null });
});

test('another user is told to be root, by commands that leave nothing half done', async () => {
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--', HONEYMESH];
  const readable = await host.run([...nobody, '--version'], { mayFail: true });
  if (readable.code !== 0) return; // the checkout lies where nobody may not read: a checkout under /root
  for (const line of ['status', 'bans add 203.0.113.200', 'stop', 'unload', 'run', 'events verify']) {
    const { code, stderr } = await host.run([...nobody, ...line.split(' '), '--instance', enforcer.instance], { mayFail: true });
    expect([code, stderr], line).toEqual([1, expect.stringMatching(/\nfix: run it as root.*\n$/)]);
  }
  const doctor = await host.run([...nobody, 'doctor', '-o', 'json', '--instance', enforcer.instance], { mayFail: true });
  expect(JSON.parse(doctor.stdout)).toContainEqual(expect.objectContaining({ what: 'event log', ok: null, fix: 'run it as root' }));
  expect(await enforcer.json<StatusReport>(['status'])).toMatchObject({ degraded: [] });
});

test('without a mesh there is none: off, no peers, nobody on its port', async () => {
  expect(await enforcer.json<StatusReport>(['status'])).toMatchObject({ mesh: { state: 'off', peers: 0 } });
  expect(await enforcer.json<PeerRow[]>(['peers', 'list'])).toEqual([]);
  expect((await host.run(['ss', '-lntuH'])).stdout).not.toMatch(/:794[67]\b/);
});

describe('a start', () => {
  const again = async (before: readonly string[] = []): Promise<void> => {
    await enforcer.honeymesh(['stop']);
    await running.ended;
    running = enforcer.run(before);
    await running.ready();
  };

  test('with a state folder that is read-only enforces, says so, and writes down what it missed at the next start', async () => {
    const { state } = enforcer.paths;
    const readOnly = ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'];
    await again([...readOnly, state]);
    expect(await reaches(STRANGER)).toBe(false);
    const { code, stderr } = await enforcer.honeymesh(['bans', 'add', '198.51.100.7'], { mayFail: true });
    expect([code, stderr]).toEqual([1, expect.stringContaining('198.51.100.7/32 is banned, but that is not on disk')]);
    expect(await enforcer.json<BanRow[]>(['bans', 'list', '--target', '198.51.100.7'])).toMatchObject([{ enforced: true }]);
    const status = await enforcer.json<StatusReport>(['status']);
    expect(status.store.ok).toBe(false);
    expect(status.degraded).toContainEqual(expect.objectContaining({ part: 'store', fix: expect.stringContaining(state) }));
    await again();
    expect((await enforcer.json<BanRow[]>(['bans', 'list'])).map(row => row.target)).toContain('198.51.100.7/32');
    expect(await enforcer.json<StatusReport>(['status'])).toMatchObject({ store: { ok: true } });
  });

  test('by a relative path names the configuration in full', async () => {
    const { stdout } = await host.run([HONEYMESH, 'config', 'check', '--config', relative(process.cwd(), enforcer.configPath)], { cwd: process.cwd() });
    expect(stdout).toBe(`${realpathSync(enforcer.configPath)}: ok\n`);
  });

  test('through a symbolic link and from another folder is the same program', async () => {
    const link = join(enforcer.paths.run, 'hm');
    try {
      await host.run(['ln', '-s', HONEYMESH, link]);
      const { stdout } = await host.run([link, '--instance', enforcer.instance, 'status', '-o', 'json'], { cwd: '/' });
      expect(JSON.parse(stdout)).toMatchObject({ instance: enforcer.instance, interfaces: [{ name: 'eth0', xdp: 'native' }] });
    } finally {
      rmSync(link, { force: true });
    }
  });

  test('on an interface without native XDP says that it fell back', async () => {
    const other = createEnforcerHost(host, 'interfaces: [lo]\nlog: { level: warn }\n');
    try {
      const second = other.run();
      await second.ready();
      expect(second.output()).toContain('lo (XDP generic: its driver has no native mode)');
      expect(await other.json<StatusReport>(['status'])).toMatchObject({ interfaces: [{ name: 'lo', xdp: 'generic' }] });
      writeFileSync(other.configPath, 'interfaces: [lo]\nxdp: { mode: native }\n');
      await other.honeymesh(['unload']);
      const { code, stderr } = await other.honeymesh(['run'], { mayFail: true });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/native mode.*\nfix: set xdp\.mode to auto or generic\n$/)]);
    } finally {
      await other.remove();
    }
  });
});

test('the log is whole, and an export has what was asked for, oldest first', async () => {
  expect(await enforcer.json(['events', 'verify'])).toMatchObject({ ok: true });
  const exported = await enforcer.honeymesh(['events', 'export', '--kind', 'ban', '--source', '203.0.113.0/24']);
  const rows = exported.stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { id: number; kind: string });
  expect(rows.map(row => row.kind)).toEqual(Array.from({ length: 50 }, () => 'ban'));
  expect(rows.map(row => row.id)).toEqual(rows.map(row => row.id).toSorted((one, other) => one - other));
});

test('unload counts what it took off, bans by prefix too', async () => {
  const { active } = (await enforcer.json<StatusReport>(['status'])).bans;
  const { stdout } = await enforcer.honeymesh(['unload']);
  expect(stdout).toContain('took the packet filter off eth0');
  expect(stdout).toContain(`no longer enforced: ${active} bans`);
  await eventually('nothing is dropped', () => reaches(STRANGER));
  expect(lab.ip(['link', 'show', 'eth0'], host)).not.toContain('xdp');
  expect(await running.ended).toMatchObject({ code: 0 });
  expect(readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim()).toBe('1');
});
