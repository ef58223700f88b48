import { fc, test as property } from '@fast-check/vitest';
import type { Prefix } from '@honeymesh/intel/address';
import type { Patience } from '@honeymesh/intel/bans';
import type { Mode } from '@honeymesh/intel/evidence';
import { MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createTrapDesk } from '#enforcer/pipeline/trap-desk.ts';
import type { TrapObservation } from '#enforcer/traps/messages.ts';
import { createRig } from '#test/support/pipeline.ts';
import { base64, exploit, guess, trapContent, trapDatagram, trapEnded, trapTouch } from '#test/support/trap-observations.ts';

const SOURCE = '203.0.113.7';
const TARGET = '203.0.113.7/32' as Prefix;

function rigWithDesk({ patience = 'listen', mode = 'enforce', longestMs = 60_000 }: { patience?: Patience; mode?: Mode; longestMs?: number } = {}) {
  const rig = createRig({ policy: { mode, patience: { kind: patience, longestMs } } });
  const desk = createTrapDesk({ mode, patience, sessions: 3 }, rig);
  const rows = async () => {
    await rig.pipeline.settled();
    return rig.store.events.map(({ kind, summary }) => `${kind}: ${summary}`);
  };
  const confined = () => rig.kernel.listBans().find(ban => ban.target === TARGET)?.confined ?? false;
  return { ...rig, desk, rows, confined };
}

test('who reported sessions hears that their rows are in the log, not before they are', async () => {
  const rig = rigWithDesk();
  const rowsThen: number[] = [];
  rig.desk.take([trapEnded(SOURCE, rig.now()), trapEnded(SOURCE, rig.now())], 0, () => void rowsThen.push(rig.store.events.length));
  expect(rowsThen).toEqual([]);
  await rig.pipeline.settled();
  await Promise.resolve();
  expect(rowsThen).toEqual([2]);
});

describe('a source that touches a trap, where traps listen', () => {
  test('is confined in the kernel before the call returns, and its sessions stay open', async () => {
    const rig = rigWithDesk();
    rig.desk.take([trapTouch(SOURCE, rig.now())], 0);
    expect(rig.kernel.listBans()).toMatchObject([{ target: TARGET, tier: 'E1', confined: true }]);
    expect(rig.enforced).toEqual([]);
    expect(rig.banList.rows()).toMatchObject([{ target: TARGET, confined: true, fullAt: '2026-11-24T12:01:00.000Z', enforced: true }]);
    expect(await rig.rows()).toEqual(['touch: connected to the trap on port 22', 'ban: confined 203.0.113.7/32 to the traps for up to 1m (trap-touch, E1)']);
  });

  test('is banned in full by hostile content, and then its sessions are closed', async () => {
    const rig = rigWithDesk();
    rig.desk.take([trapTouch(SOURCE, rig.now(), 6379)], 0);
    rig.desk.take([trapContent(SOURCE, rig.now())], 0);
    expect(rig.confined()).toBe(false);
    expect(rig.enforced).toEqual([TARGET]);
    expect((await rig.rows()).slice(2)).toEqual([
      'exploit: tried an exploit on the redis trap on port 6379: redis-module-load (MODULE LOAD /tmp/x.so)',
      'ban: banned 203.0.113.7/32 for 24h (trap-touch, exploit, E2): hostile content',
    ]);
    expect(rig.store.events.at(-1)).toMatchObject({ detail: { completed: 'content' } });
  });

  test('is banned in full at the third port, in one message too', async () => {
    const rig = rigWithDesk();
    rig.desk.take(
      [22, 23, 22, 3306].map(port => trapTouch(SOURCE, rig.now(), port)),
      0,
    );
    expect(rig.confined()).toBe(false);
    expect(rig.enforced).toEqual([TARGET]);
    expect((await rig.rows()).at(-1)).toBe('ban: banned 203.0.113.7/32 for 4h (trap-touch, E1): it had touched three traps');
  });

  test('is banned in full at the end of its last session, and the session is a row before that', async () => {
    const rig = rigWithDesk();
    rig.desk.take([trapTouch(SOURCE, rig.now()), trapTouch(SOURCE, rig.now())], 0);
    rig.desk.take([trapEnded(SOURCE, rig.now(), {}, { open: 1 })], 0);
    expect(rig.confined()).toBe(true);
    rig.desk.take([trapEnded(SOURCE, rig.now(), { receivedBytes: 6, head: base64('PING\r\n') })], 0);
    expect(rig.confined()).toBe(false);
    expect((await rig.rows()).slice(-3)).toEqual([
      'touch: said nothing to the ssh trap on port 22',
      'payload: said 6 bytes to the ssh trap on port 22: PING\\r\\n',
      'ban: banned 203.0.113.7/32 for 4h (trap-touch, E1): its session ended',
    ]);
  });

  test('may come back within three seconds where it hung up, and is banned in full where it does not', async () => {
    const rig = rigWithDesk();
    const hangsUp = () => rig.desk.take([trapTouch(SOURCE, rig.now()), trapEnded(SOURCE, rig.now(), { end: 'peer' })], 0);
    for (let times = 0; times < 3; times++) {
      hangsUp();
      rig.pass(2_999);
      rig.desk.tick();
      expect(rig.confined()).toBe(true);
    }
    rig.pass(1);
    rig.desk.tick();
    expect(rig.confined()).toBe(false);
    expect((await rig.rows()).at(-1)).toMatch(/^ban: banned 203\.0\.113\.7\/32 for .*: its session ended$/);
  });

  test('is banned in full when its time is up, whatever it does, also with a trap process that tells nothing more', async () => {
    const rig = rigWithDesk();
    rig.desk.take([trapTouch(SOURCE, rig.now())], 0);
    rig.pass(MINUTE_MS);
    rig.pipeline.tick();
    expect(rig.confined()).toBe(false);
    expect(rig.enforced).toEqual([TARGET]);
    expect((await rig.rows()).at(-1)).toMatch(/^ban: banned 203\.0\.113\.7\/32 for .*: its time was up$/);
  });

  test('keeps what its packets were counted, from the confinement to the ban', () => {
    const rig = rigWithDesk();
    rig.desk.take([trapTouch(SOURCE, rig.now())], 0);
    rig.kernel.drop(TARGET, 17);
    rig.desk.take([trapEnded(SOURCE, rig.now())], 0);
    expect(rig.banList.rows()).toMatchObject([{ target: TARGET, confined: false, fullAt: null, droppedPackets: 17 }]);
  });
});

test('instant: banned in full at the handshake, its sessions closed at once', () => {
  const rig = rigWithDesk({ patience: 'instant' });
  rig.desk.take([trapTouch(SOURCE, rig.now())], 0);
  expect(rig.kernel.listBans()).toMatchObject([{ target: TARGET }]);
  expect(rig.confined()).toBe(false);
  expect(rig.enforced).toEqual([TARGET]);
});

test('study: neither content, ports nor the end of a session end it; the number of sessions does', async () => {
  const rig = rigWithDesk({ patience: 'study', longestMs: 10 * MINUTE_MS });
  for (const port of [22, 23]) rig.desk.take([trapTouch(SOURCE, rig.now(), port), trapContent(SOURCE, rig.now()), trapEnded(SOURCE, rig.now())], 0);
  expect(rig.confined()).toBe(true);
  expect(rig.enforced).toEqual([]);
  rig.desk.take([trapTouch(SOURCE, rig.now(), 24), trapEnded(SOURCE, rig.now())], 0);
  expect(rig.confined()).toBe(false);
  expect((await rig.rows()).at(-1)).toMatch(/: it had as many sessions as study grants$/);
});

describe('what is a row of the log', () => {
  test('each session of an allowed source is one row, with all that was said, and bans nobody', async () => {
    const rig = rigWithDesk();
    await rig.orders.addAllowed({ target: SOURCE });
    const credentials = [{ user: 'root', secret: '123456' }];
    rig.desk.take([trapTouch(SOURCE, rig.now(), 22, { count: 2 }), trapContent(SOURCE, rig.now(), [guess])], 0);
    rig.desk.take([trapEnded(SOURCE, rig.now(), { findings: [guess], credentials }), trapEnded(SOURCE, rig.now())], 0);
    expect((await rig.rows()).slice(1)).toEqual([
      'credentials: tried root:123456 on the ssh trap on port 22',
      'touch: said nothing to the ssh trap on port 22',
    ]);
    expect(rig.store.events[1]).toMatchObject({
      tier: 'E2',
      reasons: ['trap-touch', 'default-credentials'],
      origin: 'trap',
      detail: { trap: 'ssh', credentials },
    });
    expect(rig.store.events[2]).toMatchObject({ tier: 'E1', reasons: ['trap-touch'] });
    expect(rig.ledger.bans()).toEqual([]);
  });

  test('the strongest content names the row', async () => {
    const rig = rigWithDesk();
    await rig.orders.addAllowed({ target: SOURCE });
    rig.desk.take([trapEnded(SOURCE, rig.now(), { findings: [guess, exploit], receivedBytes: 43 }, { protocol: 'redis', port: 6379 })], 0);
    expect((await rig.rows()).at(-1)).toBe(
      'exploit: tried an exploit on the redis trap on port 6379: redis-module-load (MODULE LOAD /tmp/x.so) and 1 more; 43 bytes in 3s2ms',
    );
  });

  test('who is turned away at the door is a row that says how many, allowed or not', async () => {
    const rig = rigWithDesk();
    await rig.orders.addAllowed({ target: SOURCE });
    rig.desk.take([trapTouch(SOURCE, rig.now(), 22, { count: 5, refused: 3 }), trapTouch('203.0.113.9', rig.now(), 23, { count: 2, refused: 2 })], 0);
    const rows = await rig.rows();
    expect(rows[1]).toBe('touch: connected to the trap on port 22 (5 times); 3 of them turned away at the door: too many sessions are open');
    expect(rows[2]).toBe('touch: connected to the trap on port 23 (2 times); turned away at the door: too many sessions are open');
    expect(rig.store.events[1]).toMatchObject({ detail: { connections: 5, refused: 3 } });
  });

  test('in mode observe a touch is a row at once, and the session another, both marked with what would have been', async () => {
    const rig = rigWithDesk({ mode: 'observe' });
    rig.desk.take([trapTouch(SOURCE, rig.now())], 0);
    rig.desk.take([trapEnded(SOURCE, rig.now(), { findings: [guess] })], 0);
    await rig.pipeline.settled();
    expect(rig.store.events).toMatchObject([
      { kind: 'touch', wouldBan: true },
      { kind: 'credentials', wouldBan: true },
    ]);
    expect(rig.kernel.listBans()).toEqual([]);
  });

  test('what an allowed source does in mode observe would have banned nobody', async () => {
    const rig = rigWithDesk({ mode: 'observe' });
    await rig.orders.addAllowed({ target: SOURCE });
    rig.desk.take([trapTouch(SOURCE, rig.now()), trapEnded(SOURCE, rig.now())], 0);
    await rig.pipeline.settled();
    expect(rig.store.events.at(-1)?.wouldBan).toBeUndefined();
  });

  test('a datagram is a row without proof, and a flood of them is bounded and summed up', async () => {
    const rig = rigWithDesk();
    const community = { rule: 'default-credentials', reason: 'default-credentials', kind: 'credentials', quote: 'public' } as const;
    rig.desk.take([trapDatagram(SOURCE, rig.now(), { findings: [community], count: 3 }), trapDatagram(SOURCE, rig.now())], 0);
    await rig.pipeline.settled();
    expect(rig.store.events).toMatchObject([
      { kind: 'credentials', tier: 'E0', reasons: ['udp-scan', 'default-credentials'], protocol: 'udp', detail: { datagrams: 3, trap: 'snmp' } },
      { kind: 'payload', tier: 'E0', reasons: ['udp-scan'], protocol: 'udp', summary: 'sent 40 bytes to the snmp trap on UDP port 161: 0&' },
    ]);
    for (let at = 0; at < 5_000; at++) rig.desk.take([trapDatagram(`198.18.${at >> 8}.${at & 255}`, rig.now())], 0);
    rig.desk.tick();
    await rig.pipeline.settled();
    expect(rig.store.events).toHaveLength(1_001);
    expect(rig.store.events.at(-1)).toMatchObject({ kind: 'payload', origin: 'trap', source: null, detail: { datagram: 4_002 } });
    expect(rig.ledger.bans()).toEqual([]);
  });
});

test('what the channel lost is said for a minute, and counted; a trap process that ended is said until it listens again', () => {
  const rig = rigWithDesk();
  rig.desk.take([], 7);
  rig.desk.down('the trap process ended with SIGKILL', 250);
  expect(rig.degraded.current()).toMatchObject([{ part: 'traps' }, { part: 'traps', why: 'the trap process ended with SIGKILL' }]);
  rig.desk.up();
  rig.pass(MINUTE_MS);
  rig.desk.tick();
  expect(rig.degraded.current()).toEqual([]);
  expect(rig.desk.counts()).toEqual({ restarts: 1, lost: 7 });
});

test('a message is one commit of what was judged, and one of the sessions in it', () => {
  const rig = rigWithDesk();
  let commits = 0;
  const commit = rig.store.commit.bind(rig.store);
  rig.store.commit = given => {
    commits++;
    return commit(given);
  };
  const sources = Array.from({ length: 200 }, (_, at) => `198.51.100.${at + 1}`);
  rig.desk.take(
    sources.map(source => trapTouch(source, rig.now())),
    0,
  );
  expect(rig.kernel.listBans()).toHaveLength(200);
  expect(commits).toBe(1);
  rig.desk.take(
    sources.map(source => trapEnded(source, rig.now(), {}, { open: 1 })),
    0,
  );
  expect(commits).toBe(2);
});

const happening = fc.record({
  kind: fc.constantFrom('touch', 'touch', 'content', 'ended', 'ended', 'datagram', 'refused'),
  source: fc.integer({ min: 1, max: 6 }),
  port: fc.constantFrom(22, 23, 25, 6379),
  open: fc.nat(2),
});
const message = fc.record({ passMs: fc.constantFrom(0, 5, 2_000, 40_000), happenings: fc.array(happening, { maxLength: 12 }) });

property.prop([fc.constantFrom<Patience>('instant', 'listen', 'study'), fc.array(message, { maxLength: 25 })])(
  'whatever the traps report: kernel and ledger agree on who is confined, nobody allowed is banned, each session is one row, and nobody stays confined',
  async (patience, messages) => {
    const rig = rigWithDesk({ patience });
    await rig.orders.addAllowed({ target: '203.0.113.6' });
    let ended = 0;
    for (const { passMs, happenings } of messages) {
      rig.pass(passMs);
      rig.pipeline.tick();
      const observations = happenings.map(({ kind, source, port, open }): TrapObservation => {
        const address = `203.0.113.${source}`;
        if (kind === 'ended') ended++;
        if (kind === 'content') return trapContent(address, rig.now(), [exploit], port);
        if (kind === 'ended') return trapEnded(address, rig.now(), {}, { port, open });
        if (kind === 'datagram') return trapDatagram(address, rig.now());
        return trapTouch(address, rig.now(), port, kind === 'refused' ? { refused: 1 } : {});
      });
      rig.desk.take(observations, 0);
      const words = (bans: readonly { readonly target: Prefix; readonly confined?: unknown }[]) =>
        bans.map(ban => `${ban.target} ${ban.confined !== undefined}`).sort();
      expect(words(rig.kernel.listBans())).toEqual(words(rig.ledger.bans()));
      expect(rig.ledger.bans().map(ban => ban.target)).not.toContain('203.0.113.6/32');
    }
    await rig.pipeline.settled();
    expect(rig.store.events.filter(event => event.detail?.end !== undefined)).toHaveLength(ended);
    rig.pass(MINUTE_MS);
    rig.pipeline.tick();
    expect(rig.ledger.bans().filter(ban => ban.confined !== undefined)).toEqual([]);
    expect(rig.kernel.listBans().filter(ban => ban.confined === true)).toEqual([]);
  },
);
