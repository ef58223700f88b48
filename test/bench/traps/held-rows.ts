/** The rows of `held`. */
import { inTurn, quantile } from '../support/rounds.ts';
import { type BenchRow, compared, figure, withoutPeer } from '../support/rows.ts';
import { startBareServer } from './bare.ts';
import { type Contender, isAbsent, type PartDeps } from './contender.ts';
import { BARE_SAY, type HeldOptions, type HeldRound, hold, OPENCANARY_SAY, OUR_SAY } from './held.ts';
import { startOpenCanary } from './opencanary.ts';
import { startOurs } from './ours.ts';
import { ALLOWED } from './wire.ts';

const CONFIG = `interfaces: [eth0]\nallow: [${ALLOWED.prefix}]\ntraps: { ports: all, deadline: 120s, session: 300s }\nlog: { level: warn }\n`;
const SESSIONS = 10_000;
const OPENCANARY_SESSIONS = 5_000;
const IDLE_MS = 30_000;
const PEERS_IDLE_MS = 5_000; // what they hold does not change with time
const GOALS = { seconds: 2, mib: 60 } as const;

export async function heldRows({ clients, rounds, openCanary }: PartDeps): Promise<readonly BenchRow[]> {
  const taken: Record<'ours' | 'bare' | 'openCanary', HeldRound[]> = { ours: [], bare: [], openCanary: [] };
  const names: Partial<Record<keyof typeof taken, string>> = {};
  const contestant = (name: keyof typeof taken, start: () => Promise<Contender>, options: HeldOptions) => ({
    name,
    async measure() {
      const contender = await start();
      names[name] = contender.name;
      try {
        const round = await hold(contender, clients, options);
        taken[name].push(round);
        return round.openSeconds;
      } finally {
        await contender.remove();
      }
    },
  });
  const opened = await inTurn(
    [
      contestant('ours', () => startOurs({ config: CONFIG }), { sessions: SESSIONS, say: OUR_SAY, holdMs: IDLE_MS }),
      contestant('bare', () => startBareServer('timer'), { sessions: SESSIONS, say: BARE_SAY, holdMs: PEERS_IDLE_MS }),
      ...(isAbsent(openCanary)
        ? []
        : [
            contestant('openCanary', () => startOpenCanary(openCanary, ['ftp', 'ssh', 'http', 'mysql', 'mssql', 'vnc']), {
              sessions: OPENCANARY_SESSIONS,
              say: OPENCANARY_SAY,
              holdMs: PEERS_IDLE_MS,
            }),
          ]),
    ],
    { rounds, warmUps: 0 },
  );
  const mib = (name: keyof typeof taken): number =>
    quantile(
      taken[name].map(({ moreMib }) => moreMib),
      0.5,
    );
  const missing = (name: keyof typeof taken): number => Math.max(...taken[name].map(one => one.missing));
  const seconds = { what: '10,000 sessions: until all are open', unit: 's', ours: opened.ours.median } as const;
  const memory = { what: '10,000 sessions, idle for 30 s: resident memory more', unit: 'MiB', ours: mib('ours') } as const;
  const fewer = `OpenCanary holds ${OPENCANARY_SESSIONS.toLocaleString('en')} sessions`;
  return [
    figure({ ...seconds, goal: { below: GOALS.seconds } }),
    compared({ ...seconds, peer: opened.bare.median, peerName: `${names.bare}, a timer each` }),
    isAbsent(openCanary)
      ? withoutPeer({ ...seconds, peerName: openCanary.name, why: openCanary.why })
      : compared({ ...seconds, peer: opened.openCanary.median, peerName: openCanary.name, note: fewer }),
    figure({ ...memory, goal: { below: GOALS.mib } }),
    compared({ ...memory, peer: mib('bare'), peerName: `${names.bare}, a timer each` }),
    isAbsent(openCanary)
      ? withoutPeer({ ...memory, peerName: openCanary.name, why: openCanary.why })
      : compared({
          ...memory,
          peer: mib('openCanary'),
          peerName: openCanary.name,
          note: `${fewer}; in the worst round ${missing('openCanary')} of them were not opened or ended meanwhile`,
        }),
    figure({ what: '10,000 sessions: not opened, or ended meanwhile', unit: 'sessions', ours: missing('ours'), goal: { atMost: 0 } }),
  ];
}
