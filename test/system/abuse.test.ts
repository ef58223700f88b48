/**
 * The abuse gate: a flood of spoofed SYNs against an enforcer with 10,000 bans. Some come in the name of a bystander, some in the name of the banned, some
 * from 20,000 sources that thereby scan, the rest from anywhere; to the real service, to a trap, to any port.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ControlClient, connectControl } from '#enforcer/control/client.ts';
import type { BanRow, StatusReport } from '#enforcer/control/operations.ts';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { banAll, regularClient, trapVisitors, type Visits } from '#test/support/chaos-clients.ts';
import { createWire, HOST, SERVED_PORT, TRAP_PORT, type Wire } from '#test/support/chaos-wire.ts';
import { createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { flood } from '#test/support/flood.ts';

const FRAMES = 1_000_000;
const PER_SECOND = 150_000;
const BANS = 10_000;
const CAPACITY = 16_384;

const REGULAR = '10.90.0.5'; // has been here before the flood, part of which comes in its name
const NEWCOMER = '10.90.0.6'; // comes for the first time while it lasts
const ATTACKER = '10.90.0.7'; // completes a handshake with a trap while it lasts
const ATTACKER_AFTERWARDS = '10.90.0.8';

let wire: Wire;
let enforcer: EnforcerHost;
let running: RunningEnforcer;
let control: ControlClient;

beforeAll(async () => {
  wire = await createWire({ everywhere: true });
  const config = `interfaces: [eth0]\ntraps: { ports: [${TRAP_PORT}, 3306] }\nbans: { capacity: ${CAPACITY} }\nlog: { level: warn }\n`;
  enforcer = createEnforcerHost(wire.host, config);
  running = enforcer.run();
  await running.ready();
  control = await connectControl(enforcer.paths.socket);
});
afterAll(async () => {
  try {
    control.close();
    await enforcer.remove();
  } finally {
    wire.remove();
  }
});

test('1,000,000 spoofed SYNs cost no ban, no bystander, no memory without bound and no answer of the daemon', async () => {
  const singles = Array.from({ length: BANS }, (_, at) => `198.18.${at >> 8}.${at & 255}`);
  const others = ['203.0.113.0/24', '2001:db8:bad::/48', '2001:db8:6::66', '2001:db8:7::/64'];
  await banAll(control, [...singles, ...others]);
  const before = lasting(await control.listBans({}));
  expect(before).toHaveLength(BANS + others.length);

  const regular = regularClient(wire.outside, REGULAR);
  await eventually('the regular client is known as such', async () => (await control.explain({ address: REGULAR })).kernel.provenAt !== null);
  const quiet = await control.status();
  const quietBytes = residentBytes();

  let over = false;
  const startedMs = performance.now();
  const sent = sendAll(packetsOf(quiet)).finally(() => {
    over = true;
  });
  await Promise.race([sent, eventually('the flood has begun', async () => ((await control.status()).packets['drop-ban'] ?? 0) > 1_000)]);
  const newcomer = regularClient(wire.outside, NEWCOMER);
  const attacker = trapVisitors(wire.outside, [ATTACKER], TRAP_PORT, 200);
  const answersMs: number[] = [];
  let mostBytes = 0;
  while (!over) {
    const askedMs = performance.now();
    await control.status();
    answersMs.push(performance.now() - askedMs);
    mostBytes = Math.max(mostBytes, residentBytes());
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  await sent;
  const tookS = (performance.now() - startedMs) / 1_000;
  const visits = { regular: await regular.stop(), newcomer: await newcomer.stop() };
  await attacker.stop();
  await eventually('the attacker is banned, though the flood went to its trap as well', async () =>
    tiersOf(await control.listBans({ target: ATTACKER })).includes('E1'),
  );
  expect((await trapVisit(ATTACKER_AFTERWARDS)).length).toBeGreaterThan(0);
  await eventually('and so is one that comes afterwards', async () => tiersOf(await control.listBans({ target: ATTACKER_AFTERWARDS })).includes('E1'));

  // No ban lost, none made of what can be spoofed.
  const after = await control.listBans({});
  const proven = after.filter(ban => ban.tier === 'E1' || ban.tier === 'E2').map(ban => ban.target);
  expect(proven.sort()).toEqual([`${ATTACKER}/32`, `${ATTACKER_AFTERWARDS}/32`]);
  expect(lasting(after.filter(ban => !proven.includes(ban.target)))).toEqual(before);
  expect(after.filter(ban => !ban.enforced)).toEqual([]);

  // No bystander hit.
  for (const [who, times] of Object.entries(visits)) {
    expect(times.length, `visits of the ${who}`).toBeGreaterThan(20);
    expect(
      times.filter(ms => ms === null),
      `failed visits of the ${who}`,
    ).toEqual([]);
  }
  expect(tiersOf(await control.listBans({ target: NEWCOMER }))).toEqual([]);
  // What came in the regular client's name was a scan; with its handshakes it is policed, not shunned (its visits above).
  expect(tiersOf(await control.listBans({ target: REGULAR })).filter(tier => tier !== 'E0')).toEqual([]);
  expect((await control.explain({ address: REGULAR })).verdict).toBe('policed');

  // Events within their budget: what the noise gate lets through at once and by the second, and some of our own.
  const loud = await control.status();
  const stored = loud.store.events - quiet.store.events;
  expect(stored).toBeLessThan(1_000 + 2_000 + 2_000 + (50 + 100 + 100) * (tookS + 5) + 100);
  expect(loud.packets['events-limited']).toBeGreaterThan(0);
  expect(loud.packets.guarded).toBeGreaterThan(0);
  expect(folderBytes(enforcer.paths.state)).toBeLessThan(16 * 2 ** 20);
  expect(loud.degraded.map(({ part }) => part).filter(part => part !== 'kernel')).toEqual([]);
  expect((await enforcer.honeymesh(['events', 'verify'])).code).toBe(0);

  // Alive all the time, and no bigger than before.
  expect(Math.max(...answersMs), 'ms until status answered').toBeLessThan(1_000);
  expect(mostBytes - quietBytes, 'bytes of growth').toBeLessThan(128 * 2 ** 20);
  report({
    tookS,
    perSecond: FRAMES / tookS,
    answersMs: Math.max(...answersMs),
    quietMiB: quietBytes / 2 ** 20,
    growthMiB: (mostBytes - quietBytes) / 2 ** 20,
    stored,
  });
  report({ packets: JSON.stringify(loud.packets), degraded: JSON.stringify(loud.degraded.map(({ why }) => why)), shunned: loud.bans.shunned });
  for (const [who, times] of Object.entries(visits)) report({ who, visits: times.length, slowestMs: Math.max(...times.map(ms => ms ?? 0)) });
}, 90_000);

/** Until so many have arrived: some are lost where the receiver's queue is full. */
async function sendAll(before: number): Promise<void> {
  for (let missing = FRAMES; missing > 0; missing = FRAMES - (packetsOf(await control.status()) - before)) {
    await flood(wire.outside, {
      frames: missing,
      perSecond: PER_SECOND,
      target: HOST,
      framed: REGULAR,
      banned: '198.18.0.0',
      bannedCount: BANS,
      scanners: '100.64.0.0',
      scannerCount: 20_000,
      servedPort: SERVED_PORT,
      trapPort: TRAP_PORT,
    });
  }
}

/** All that the packet filter judged. */
const packetsOf = ({ packets }: StatusReport): number => VERDICTS.reduce((sum, verdict) => sum + (packets[verdict] ?? 0), 0);

/** What must be the same before and after; the kernel's own shuns come and go. */
const lasting = (bans: readonly BanRow[]): readonly string[] =>
  bans
    .filter(ban => ban.tier !== 'E0')
    .map(({ target, tier, expiresAt, enforced }) => `${target} ${tier} ${expiresAt} ${enforced}`)
    .sort();

const tiersOf = (bans: readonly BanRow[]): readonly string[] => bans.map(ban => ban.tier);

async function trapVisit(source: string): Promise<readonly (number | null)[]> {
  const visits: Visits = trapVisitors(wire.outside, [source], TRAP_PORT, 1);
  await new Promise(resolve => setTimeout(resolve, 300));
  return visits.stop();
}

function residentBytes(): number {
  const status = readFileSync(`/proc/${running.daemonPid()}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

const folderBytes = (folder: string): number => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

/** For docs/survival.md: HONEYMESH_FIGURES=1. */
function report(figures: Readonly<Record<string, string | number>>): void {
  if (process.env.HONEYMESH_FIGURES === '1') console.log(figures);
}
