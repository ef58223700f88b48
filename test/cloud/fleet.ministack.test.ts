/** 200 hosts at once: nothing that one of them reports is lost to the others, once each has asked for the numbers that it missed. */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeAdvisory, decodeAdvisoryList, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { ADVISORY_TOPIC } from '@honeymesh/intel/hub-topics';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, createCluster, type Member } from '#test/support/cloud/members.ts';
import { adviceFor, hexOfAll } from '#test/support/cloud/mesh-hosts.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { makeKnown, storesOf } from '#test/support/cloud/stores.ts';

const provided = cloud();
const HOSTS = 200;
/** MiniStack drops what its concurrency is too small for; AWS would deliver it later. */
const AT_ONCE = 6;
const DELIVERIES_PER_SECOND = 10_000;
/** Sent again and again, as hosts do: the emulator drops what it has no room to run, reports and receipts alike. */
const RECEIPTS_WITHIN_MS = 90_000;
/** A digest a minute. */
const DIGEST_WITHIN_MS = 75_000;
const ASK_AGAIN_MS = 5_000;

describe.skipIf(provided === null)('a fleet of 200 hosts', () => {
  let cluster: Cluster;
  let fleet: readonly Member[];

  beforeAll(async () => {
    const stores = await storesOf((provided as Cloud).ministack);
    cluster = createCluster(provided as Cloud, (mesh, host) => makeKnown(stores, mesh, host));
    fleet = await inTurns(
      Array.from({ length: HOSTS }, (_, at) => at),
      at => cluster.member(`fleet-${at}`, (['home', 'lab', 'shop'] as const)[at % 3]),
    );
  }, 120_000);
  afterAll(() => cluster?.close());

  test('reports at once, and each host ends with what all reported', async () => {
    const envelopes = fleet.map((host, at) => host.sign({ advice: [adviceFor(`198.18.${Math.floor(at / 250)}.${at % 250}/32`)] }));
    const startedMs = performance.now();
    await Promise.all(fleet.map((host, at) => host.report(envelopes[at] as Uint8Array)));
    // As the outbox does: what no receipt covers is sent again.
    const covered = async (host: Member, withinMs: number): Promise<boolean> =>
      host
        .receipt(({ upTo }) => upTo === 1, withinMs)
        .then(
          () => true,
          () => false,
        );
    let waiting = [...fleet.keys()];
    for (const giveUpMs = performance.now() + RECEIPTS_WITHIN_MS; waiting.length > 0 && performance.now() < giveUpMs; ) {
      const still: number[] = [];
      await Promise.all(waiting.map(async at => void ((await covered(fleet[at] as Member, 3_000)) || still.push(at))));
      await inTurns(still, at => (fleet[at] as Member).report(envelopes[at] as Uint8Array));
      waiting = still;
    }
    expect(waiting).toEqual([]);

    const wanted = [...hexOfAll(envelopes)];
    // QoS 0: a tenth of the hosts lose one.
    for (const host of fleet.filter((_, at) => at % 10 === 0)) {
      const lost = host.session.received.findIndex(({ topic, payload }) => topic === ADVISORY_TOPIC && decodeAdvisory(payload).ok);
      if (lost >= 0) host.session.received.splice(lost, 1);
    }
    let asked = 0;
    await inTurns(fleet, async host => {
      const had = new Set(advisoriesOf(host).flatMap(advisory => hexOfAll(advisory.envelopes)));
      if (wanted.every(hex => had.has(hex))) return;
      asked++;
      // What was over the governor's budget has no number before the next digest.
      for (const giveUpMs = performance.now() + DIGEST_WITHIN_MS; ; await delay(ASK_AGAIN_MS)) {
        for (const advisory of await repaired(host, headOf(fleet))) for (const hex of hexOfAll(advisory.envelopes)) had.add(hex);
        if (performance.now() > giveUpMs || wanted.every(hex => had.has(hex))) break;
      }
      expect(
        wanted.filter(hex => !had.has(hex)),
        host.name,
      ).toEqual([]);
    });
    expect(asked).toBeGreaterThanOrEqual(HOSTS / 10);
    const seconds = (performance.now() - startedMs) / 1000;
    const head = headOf(fleet);
    console.log(`cloud: ${HOSTS} hosts: ${head} advisories in ${seconds.toFixed(1)} s, ${asked} hosts asked for what they missed`);
    expect((head * HOSTS) / seconds).toBeLessThan(DELIVERIES_PER_SECOND);
  }, 240_000);
});

const headOf = (fleet: readonly Member[]): number => Math.max(...fleet.flatMap(host => advisoriesOf(host).map(({ head }) => head)));

const advisoriesOf = (host: Member): readonly SignedAdvisory[] =>
  host.session.received.flatMap(({ payload }) => {
    const read = decodeAdvisory(payload);
    return read.ok ? [read.value] : [];
  });

/** All advisories up to the head, as a host with a gap gets them. */
async function repaired(host: Member, head: number): Promise<readonly SignedAdvisory[]> {
  const epoch = advisoriesOf(host)[0]?.epoch ?? 0;
  const found: SignedAdvisory[] = [];
  for (let from = 1; from <= head; ) {
    const answer = await host.ask({ ask: 'range', epoch, from, to: head });
    if (answer.kind !== 'range' && answer.kind !== 'range-object') throw new Error(`${host.name}: ${answer.kind}`);
    for (const bytes of answer.kind === 'range' ? answer.advisories : await fetchedFrom(answer.url)) {
      const read = decodeAdvisory(bytes);
      if (read.ok) found.push(read.value);
    }
    from = answer.to + 1;
  }
  return found;
}

/** A long answer lies behind a link. */
async function fetchedFrom(url: string): Promise<readonly Uint8Array[]> {
  const response = await fetch(url);
  const read = decodeAdvisoryList(new Uint8Array(await response.arrayBuffer()));
  if (!read.ok) throw new Error(`${response.status}: ${read.why}`);
  return read.value;
}

async function inTurns<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) results.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(work))));
  return results;
}
