/** The rows of `load`: the mix from allow-listed sources, everything else as it is by default. */
import { inTurn, quantile } from '../support/rounds.ts';
import { type BenchRow, compared, figure, withoutPeer } from '../support/rows.ts';
import { startBareServer } from './bare.ts';
import { type Contender, isAbsent, MIX_PORTS, MIX_SERVICES, type PartDeps } from './contender.ts';
import { calmTalk, type LoadRound, load, processorTime } from './load.ts';
import { startOpenCanary } from './opencanary.ts';
import { startOurs } from './ours.ts';
import { ALLOWED } from './wire.ts';

/** The ports are named, since `typical` is each host's own choice. */
export const CALM_CONFIG = `interfaces: [eth0]\nallow: [${ALLOWED.prefix}]\ntraps: { ports: [${MIX_PORTS.join(', ')}] }\nlog: { level: warn }\n`;
const CONNECTIONS = { ours: 20_000, bare: 30_000, openCanary: 10_000 } as const;
const TWICE = 2;

export async function loadRows({ clients, rounds, openCanary }: PartDeps): Promise<readonly BenchRow[]> {
  const ours = await startOurs({ config: CALM_CONFIG });
  const started: Contender[] = [ours];
  const taken = new Map<Contender, LoadRound[]>();
  let unlogged = 0;
  try {
    const bare = await startBareServer('no-timer');
    started.push(bare);
    const peer = isAbsent(openCanary) ? null : await startOpenCanary(openCanary, MIX_SERVICES);
    if (peer !== null) started.push(peer);
    const contestant = (name: keyof typeof CONNECTIONS, contender: Contender) => ({
      name,
      async measure() {
        const round = await load(contender, clients, { ...calmTalk, connections: CONNECTIONS[name] });
        const missing = round.counted.connected - (await contender.logged());
        if (contender === ours) unlogged += Math.abs(missing);
        else if (missing > 0) throw new Error(`the log of ${contender.name} does not tell of ${missing} connections`);
        taken.set(contender, [...(taken.get(contender) ?? []), round]);
        return round.rate;
      },
    });
    const rates = await inTurn([contestant('ours', ours), contestant('bare', bare), ...(peer === null ? [] : [contestant('openCanary', peer)])], { rounds });
    const verified = await ours.verified();

    const what = { what: 'connections accepted, answered and logged', unit: '/s', ours: rates.ours.median } as const;
    const cost = (contender: Contender, process?: string): number =>
      quantile(
        (taken.get(contender) ?? []).slice(1).map(round => costOf(round, process)),
        0.5,
      );
    const costs = { what: 'processor time a connection, all processes', unit: 'us', ours: cost(ours) } as const;
    const unanswered = (taken.get(ours) ?? []).reduce((sum, { counted }) => sum + counted.begun - counted.answered, 0);
    return [
      isAbsent(openCanary)
        ? withoutPeer({ ...what, peerName: openCanary.name, why: openCanary.why })
        : compared({ ...what, peer: rates.openCanary.median, peerName: openCanary.name, goal: { atLeast: TWICE } }),
      compared({ ...what, peer: rates.bare.median, peerName: bare.name, note: 'the bare server writes a line of JSON for each connection' }),
      ...(peer === null ? [] : [compared({ ...costs, peer: cost(peer), peerName: peer.name })]),
      compared({
        ...costs,
        peer: cost(bare),
        peerName: bare.name,
        note: 'by the scheduler; what the kernel does for a connection on the core of the clients is not in it',
      }),
      ...Object.keys(ours.pids()).map(process => figure({ what: `processor time a connection, ${process}`, unit: 'us', ours: cost(ours, process) })),
      figure({ what: 'connections that were not answered', unit: 'connections', ours: unanswered, goal: { atMost: 0 } }),
      figure({ what: 'connections without a row of the log, or rows without one', unit: 'connections', ours: unlogged, goal: { atMost: 0 } }),
      figure({ what: 'logs that "events verify" does not accept', unit: 'logs', ours: verified ? 0 : 1, goal: { atMost: 0 } }),
    ];
  } finally {
    for (const contender of started) await contender.remove();
  }
}

const costOf = (round: LoadRound, process?: string): number => (process === undefined ? processorTime(round) : (round.costUs[process] ?? 0));
