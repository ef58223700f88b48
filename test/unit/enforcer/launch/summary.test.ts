import type { Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import type { Config } from '#enforcer/config/schema.ts';
import { type StartFacts, startSummary } from '#enforcer/launch/summary.ts';

const FACTS: StartFacts = {
  instance: 'main',
  config: {
    mode: 'enforce',
    xdp: { mode: 'auto' },
    allow: ['198.51.100.0/24' as Prefix],
    traps: { ports: { tcp: [22, 3306], udp: [161] }, patience: 'listen' },
    dashboard: { bind: { host: '127.0.0.1', port: 8443 }, names: [] },
  } as unknown as Config,
  configPath: '/etc/honeymesh/config.yaml',
  interfaces: [
    { name: 'eth0', xdp: 'native' },
    { name: 'eth1', xdp: 'off' },
  ],
  trapsOpen: true,
  allowed: [{ target: '192.0.2.1/32' as Prefix, cause: 'gateway', why: 'a gateway in the routing table', since: unixMs(0) }],
  socket: '/run/honeymesh/main/control.sock',
  changes: ['set kernel.unprivileged_bpf_disabled to 1 (it was 2); it stays until the next boot'],
  interactive: true,
  dashboard: { url: 'https://127.0.0.1:8443/', token: 'ab'.repeat(32), fingerprint: 'AB:CD' },
};

test('a start says what is guarded, who is allowed and why, what was changed, and how to end it', () => {
  expect(startSummary(FACTS)).toBe(`HoneyMesh is on
  guards          eth0 (XDP native), eth1 (not attached)
  mode            enforce: banned sources are dropped
  traps           TCP 22, 3306; UDP 161; patience listen: who touches one reaches traps only, and is banned when it was heard out
  dashboard       https://127.0.0.1:8443/
  token           ${'ab'.repeat(32)} (shown once: only its hash is kept)
  certificate     SHA-256 AB:CD
  configuration   /etc/honeymesh/config.yaml
  control socket  /run/honeymesh/main/control.sock
  always allowed  198.51.100.0/24: in the configuration
                  192.0.2.1: a gateway in the routing table
  changed         set kernel.unprivileged_bpf_disabled to 1 (it was 2); it stays until the next boot
  to end it       Ctrl-C or "honeymesh unload" takes everything off; "honeymesh stop" ends the daemon and leaves the kernel enforcing
`);
});

test.each([
  [{ ports: 'typical', patience: 'listen' }, true, 'closed ports that are typical for a host like this'],
  [{ ports: 'all', patience: 'instant' }, true, 'every closed port; patience instant: who touches one is banned at once'],
  [{ ports: { tcp: [], udp: [161] }, patience: 'study' }, true, 'UDP 161; patience study'],
  [{ ports: { tcp: [], udp: [] }, patience: 'listen' }, false, 'off\n'],
  [{ ports: 'typical', patience: 'listen' }, false, 'could not listen'],
])('traps %j, listening: %s', (traps, trapsOpen, words) => {
  expect(startSummary({ ...FACTS, trapsOpen, config: { ...FACTS.config, traps } as Config })).toContain(`traps           ${words}`);
});

test('a mesh that is configured is said, and whom it joins', () => {
  expect(startSummary(FACTS)).not.toContain('listens');
  const mesh = { bind: { host: '::', port: 7946 }, join: [{ host: 'peer.example', port: 7946 }] };
  const said = 'mesh            listens on [::]:7946 (UDP and TCP); joins peer.example:7946; "honeymesh peers list"';
  expect(startSummary({ ...FACTS, config: { ...FACTS.config, mesh } as unknown as Config })).toContain(said);
  expect(startSummary({ ...FACTS, config: { ...FACTS.config, mesh: { ...mesh, join: [] } } as unknown as Config })).toContain(
    'joins whom it knows from before',
  );
});

test('a driver without native XDP is said', () => {
  const interfaces = [{ name: 'wg0', xdp: 'generic' }] as const;
  expect(startSummary({ ...FACTS, interfaces })).toContain('wg0 (XDP generic: its driver has no native mode)');
  const asked = { ...FACTS.config, xdp: { mode: 'generic' } } as Config;
  expect(startSummary({ ...FACTS, interfaces, config: asked })).toContain('wg0 (XDP generic)\n');
});

test('a long list is cut and says so; another instance is named; without a terminal there is no Ctrl-C', () => {
  const allowed = Array.from({ length: 40 }, (_, at) => ({
    target: `192.0.2.${at}/32` as Prefix,
    cause: 'own' as const,
    why: 'an address of this host',
    since: unixMs(0),
  }));
  const text = startSummary({ ...FACTS, instance: 'edge', allowed, interactive: false, configPath: null });
  expect(text).toContain('HoneyMesh "edge" is on');
  expect(text).toContain('and 29 more ("honeymesh allow list")');
  expect(text).toContain('built-in defaults (no file)');
  expect(text).toContain('"honeymesh stop --instance edge"');
  expect(text).not.toContain('Ctrl-C');
});
