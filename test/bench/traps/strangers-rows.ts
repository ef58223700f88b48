/** The rows of `strangers`: 50,000 sources that nobody allowed, each connects once and is banned for it. */
import { inTurn, quantile } from '../support/rounds.ts';
import { type BenchRow, compared, figure, withoutPeer } from '../support/rows.ts';
import type { Talk } from './clients.ts';
import { type Contender, isAbsent, MIX, MIX_PORTS, MIX_SERVICES, type PartDeps } from './contender.ts';
import { type LoadRound, load, processorTime } from './load.ts';
import { startOpenCanary } from './opencanary.ts';
import { startOurs } from './ours.ts';
import { STRANGERS } from './wire.ts';

const config = (patience: 'listen' | 'instant'): string =>
  `interfaces: [eth0]\ntraps: { ports: [${MIX_PORTS.join(', ')}], patience: ${patience} }\nlog: { level: warn }\n`;

/** What a banned source sends afterwards is dropped: its clients end by RST and leave nothing that would be sent again. */
const talk = (connections: number): Talk => ({
  sources: { base: STRANGERS.base, count: connections },
  say: MIX,
  connections,
  atOnce: 64,
  patienceMs: 1_000,
  reset: true,
});
const SOURCES = 50_000;
const OPENCANARY_CONNECTIONS = 10_000;
/** With `instant` most hear nothing and give up when their patience is over; so many at once that this is not what is measured. */
const INSTANT: Talk = { ...talk(10_000), atOnce: 2_048, patienceMs: 200 };

interface Taken {
  readonly bans: number;
  readonly costUs: number;
  readonly unlogged: number;
  readonly unanswered: number;
  readonly verified: boolean;
}

export async function strangersRows({ clients, rounds, openCanary }: PartDeps): Promise<readonly BenchRow[]> {
  const taken: Record<'listen' | 'instant', Taken[]> = { listen: [], instant: [] };
  const contestant = <Patience extends 'listen' | 'instant'>(patience: Patience, said: Talk) => ({
    name: patience,
    async measure() {
      const ours = await startOurs({ config: config(patience) });
      try {
        const round = await load(ours, clients, said);
        const { counted, lateMs } = round;
        const { connections } = await ours.logRead();
        const { bans } = await ours.asked(control => control.status());
        const verified = await ours.verified();
        taken[patience].push({
          bans: bans.active,
          costUs: processorTime(round),
          unlogged: Math.abs(counted.connected - connections),
          unanswered: counted.begun - counted.answered,
          verified,
        });
        return Math.min(connections, patience === 'listen' ? counted.answered : counted.connected) / (counted.seconds + lateMs / 1_000);
      } finally {
        await ours.remove();
      }
    },
  });
  const peerRounds: LoadRound[] = [];
  async function measurePeer(peer: Contender): Promise<number> {
    const round = await load(peer, clients, talk(OPENCANARY_CONNECTIONS));
    peerRounds.push(round);
    return round.rate;
  }
  const peer = isAbsent(openCanary) ? null : await startOpenCanary(openCanary, MIX_SERVICES);
  try {
    const rates = await inTurn(
      [
        contestant('listen', talk(SOURCES)),
        contestant('instant', INSTANT),
        ...(peer === null ? [] : [{ name: 'openCanary' as const, measure: () => measurePeer(peer) }]),
      ],
      { rounds, warmUps: 0 },
    );
    const what = { what: `banning on, ${SOURCES.toLocaleString('en')} sources: accepted, answered, logged`, unit: '/s', ours: rates.listen.median } as const;
    const most = (patience: 'listen' | 'instant', of: (one: Taken) => number): number => Math.max(...taken[patience].map(of));
    return [
      isAbsent(openCanary)
        ? withoutPeer({ ...what, peerName: openCanary.name, why: openCanary.why })
        : compared({ ...what, peer: rates.openCanary.median, peerName: openCanary.name, note: NOTE }),
      ...(peer === null
        ? []
        : [
            compared({
              what: 'banning on: processor time a connection, all processes',
              unit: 'us',
              ours: median(taken.listen.map(({ costUs }) => costUs)),
              peer: median(peerRounds.map(processorTime)),
              peerName: openCanary.name,
            }),
          ]),
      figure({
        what: 'banning on: bans in force afterwards',
        unit: 'bans',
        ours: median(taken.listen.map(({ bans }) => bans)),
      }),
      figure({ what: 'banning on: connections that were not answered', unit: 'connections', ours: most('listen', one => one.unanswered), note: WORST }),
      figure({
        what: 'banning on: connections without a row of the log',
        unit: 'connections',
        ours: most('listen', one => one.unlogged),
        goal: { atMost: 0 },
        note: WORST,
      }),
      figure({
        what: 'banning on: logs that "events verify" does not accept',
        unit: 'logs',
        ours: taken.listen.filter(({ verified }) => !verified).length,
        goal: { atMost: 0 },
      }),
      figure({ what: 'banning at the first touch (instant): accepted, logged', unit: '/s', ours: rates.instant.median }),
    ];
  } finally {
    await peer?.remove();
  }
}

const NOTE = 'banning on: eight sources in a /24, as 32 of them would become one ban of the /24; each round begins with an enforcer that has just been started';
const WORST = 'banning on: unanswered and unlogged are the worst of all rounds';

const median = (values: readonly number[]): number => quantile(values, 0.5);
