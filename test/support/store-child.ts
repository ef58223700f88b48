/** Writes into a store until it is killed; says each acknowledged id on standard output. Arguments: directory, seed. */
import { writeSync } from 'node:fs';
import type { Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { createStore } from '#enforcer/store/store.ts';

const [directory = '', seedText = '1'] = process.argv.slice(2);
let seed = Number(seedText);
const below = (limit: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed % limit;
};
let ms = 1_800_000_000_000 + Number(seedText) * 60_000;
const store = createStore(
  { directory, workerPath: new URL('../../enforcer/store/worker.ts', import.meta.url), retentionMs: 2_000, segmentEvents: 40, maintainMs: 5 },
  { now: () => unixMs(ms) },
);
await store.start();
for (;;) {
  ms += 50;
  const commits = Array.from({ length: 1 + below(4) }, (_, at) => {
    const target = `203.0.113.${below(256)}/32` as Prefix;
    const event = {
      at: unixMs(ms),
      kind: 'ban',
      source: null,
      port: null,
      protocol: null,
      tier: 'E1',
      reasons: [],
      origin: 'trap',
      summary: `commit ${at}`,
      target,
    } as const;
    const ban = { target, tier: 'E1', reasons: [], origins: ['trap'], createdAt: unixMs(ms), expiresAt: null, offences: 1 } as const;
    return store.commit({ events: Array.from({ length: 1 + below(30) }, () => event), changes: [{ kind: 'put-ban', ban }] });
  });
  for (const { stored, events } of await Promise.all(commits)) if (stored) writeSync(1, `${events.at(-1)?.id} ${events.at(-1)?.target}\n`);
}
