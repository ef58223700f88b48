/** Every parser of the hub's, and of what a host reads from it, fed with what was valid once: never throws, never takes long, never gives more than is bounded. */
import { decodeAdvisory, decodeAdvisoryList, encodeAdvisory, encodeAdvisoryList, LONGEST_ADVISORY_BYTES, withSignature } from '@honeymesh/intel/hub-advisory';
import { readAnswer, readHeartbeat, readQuestion, readReceipt, writeHeartbeat, writeMessage, writeReceipt } from '@honeymesh/intel/hub-messages';
import { decodeReport, encodeReport, MOST_REPORTED } from '@honeymesh/intel/hub-report';
import { thingOfTopic } from '@honeymesh/intel/hub-topics';
import { readJson } from '@honeymesh/intel/json-shape';
import { describe, expect, test } from 'vitest';
import { readRuleEvent } from '#cloud/functions/shared/rule-event.ts';
import { readStreamEvent } from '#cloud/functions/shared/stream-event.ts';
import { takeReport } from '#cloud/functions/shared/take-report.ts';
import { keysOfEvent, splitUpload, thingOfUpload } from '#cloud/functions/uploads/split-upload.ts';
import { claimShape } from '#cloud/hub/enrolment-codes.ts';
import { presenceShape } from '#cloud/hub/fleet.ts';
import { introduce } from '#cloud/hub/identity.ts';
import { parseRanges } from '#cloud/hub/never-advised.ts';
import { keptOf } from '#cloud/store/envelopes.ts';
import { decodeSpan, encodeSpan, spanOfText } from '#cloud/store/span-format.ts';
import { advice, keyedHash, NOON, trust } from '#test/support/hm1.ts';
import { createHubWorld, entryOf } from '#test/support/hub/hub-world.ts';
import { type Dice, diceOf, mutated, noise } from '#test/support/mutations.ts';

const RUNS = process.env.HONEYMESH_NIGHTLY === '1' ? 2_000_000 : 20_000;
const SEED = Number(process.env.HONEYMESH_SEED ?? Date.now() % 2 ** 31);

const signatures = keyedHash();
const cluster = trust(signatures);
const host = cluster.host('web1', 'home');
const world = createHubWorld({ trusted: cluster, verifier: signatures });
const envelope = world.envelope(host, 1, [advice('8.8.4.4/32'), advice('2a00::/48')]);
const report = encodeReport([
  { previous: 0, envelope },
  { previous: 1, envelope },
]);
const numbers = { kind: 'urgent', overBudget: true, epoch: NOON, number: 3, head: 4, issuedAt: NOON } as const;
const advisory = withSignature(
  encodeAdvisory({ ...numbers, certificates: [cluster.registrar.bytes, host.certificate.bytes], envelopes: [envelope] }),
  new Uint8Array(70),
);
const question = writeMessage({ v: 1, id: 'q', ask: 'introduce', certificates: [cluster.registrar.bytes, host.certificate.bytes] });
const answer = writeMessage({ v: 1, id: 'q', kind: 'range', epoch: 1, from: 1, to: 2, head: 2, advisories: [advisory] });
const heartbeat = writeHeartbeat({ v: 1, at: NOON, version: '0.1.0', mode: 'enforce', bans: 1, waiting: 0, head: { epoch: 1, number: 2 }, degraded: ['mesh'] });
const receipt = writeReceipt({ v: 1, at: NOON, epoch: 1, upTo: 3, ranges: [[5, 6]], refused: [{ seq: 2, why: 'too-fast' }] });
const span = encodeSpan(
  { epoch: 1, index: 5_985_072 },
  { taken: [{ seq: 1, previous: 0, issuedAt: NOON }], refused: [{ seq: 2, previous: 1, why: 'expired' }] },
);
const event = Buffer.from(
  JSON.stringify({ payload: Buffer.from(report).toString('base64'), client: 'web1', topic: 'honeymesh/v1/web1/intel', at: NOON, principal: 'x' }),
);
const stream = Buffer.from(
  JSON.stringify({
    Records: [
      { eventID: '1', eventName: 'INSERT', dynamodb: { SequenceNumber: '1', NewImage: { kid: { S: 'x' }, bytes: { B: 'AAAA' }, expiresAt: { N: '1' } } } },
    ],
  }),
);
const hook = Buffer.from(JSON.stringify({ parameters: { ThingName: 'a', Site: 'b', Kid: '0123456789abcdef', Code: 'A'.repeat(22) } }));
const presence = Buffer.from(JSON.stringify({ clientId: 'a', timestamp: 1, eventType: 'connected' }));
const s3 = Buffer.from(JSON.stringify({ Records: [{ s3: { object: { key: 'uploads/web1/x+%41' } } }] }));
const SEEDS: readonly Uint8Array[] = [
  report,
  advisory,
  question,
  answer,
  heartbeat,
  receipt,
  span,
  event,
  stream,
  hook,
  presence,
  s3,
  encodeAdvisoryList([advisory]),
];

/** Any value, where the seed still is JSON after all. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('latin1'));
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}

const PARSERS: Readonly<Record<string, (bytes: Uint8Array) => void>> = {
  report: bytes => {
    const read = decodeReport(bytes);
    if (read.ok) expect(read.value.length).toBeLessThanOrEqual(MOST_REPORTED);
  },
  advisory: bytes => {
    const read = decodeAdvisory(bytes);
    if (read.ok) expect(read.value.envelopes.reduce((sum, one) => sum + one.length, 0)).toBeLessThanOrEqual(LONGEST_ADVISORY_BYTES);
  },
  'list of advisories': bytes => void decodeAdvisoryList(bytes),
  question: bytes => {
    const read = readQuestion(bytes);
    if (read.ok && read.value.ask === 'introduce') {
      const registered = { kid: host.certificate.kid, enrolledAt: null, by: 'operator', approved: false } as const;
      introduce('web1', read.value.certificates, registered, world.trust, { verifier: signatures, now: NOON });
    }
  },
  answer: bytes => void readAnswer(bytes),
  heartbeat: bytes => void readHeartbeat(bytes),
  receipt: bytes => void readReceipt(bytes),
  span: bytes => {
    const { taken, refused } = decodeSpan({ epoch: 1, index: 1 }, bytes);
    expect(taken.length * 20 + refused.length * 17).toBeLessThanOrEqual(bytes.length);
    spanOfText(Buffer.from(bytes.subarray(0, 40)).toString('latin1'));
  },
  'event of a rule': bytes => {
    const read = readRuleEvent(jsonOf(bytes), 'intel', NOON);
    if (read.ok) expect(read.value.thing).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  },
  'event of a stream': bytes => void readStreamEvent(jsonOf(bytes)).map(one => keptOf(one.item)),
  'event of the hook': bytes => {
    const read = claimShape(jsonOf(bytes));
    if (read !== undefined) expect(read.thing).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  },
  presence: bytes => void readJson(bytes, 8_192, presenceShape),
  'event of the bucket': bytes => void keysOfEvent(jsonOf(bytes)).map(thingOfUpload),
  upload: bytes => void splitUpload(bytes),
  ranges: bytes => void parseRanges(Buffer.from(bytes).toString('latin1')),
  topic: bytes => void thingOfTopic(Buffer.from(bytes).toString('latin1'), 'get'),
};

const pick = <T>(dice: Dice, all: readonly T[]): T => all[dice.below(all.length)] as T;

describe('never throws', () => {
  test.each(Object.entries(PARSERS))('%s', (name, parse) => {
    const dice = diceOf(SEED + name.length);
    for (let run = 0; run < RUNS / 4; run++) {
      const bytes = dice.below(5) === 0 ? noise(dice, 600) : mutated(dice, pick(dice, SEEDS), pick(dice, SEEDS));
      try {
        parse(bytes);
      } catch (thrown) {
        throw new Error(`seed ${SEED}, run ${run}: ${Buffer.from(bytes).toString('hex')}`, { cause: thrown });
      }
    }
  });
});

test('whatever a host sends as a report, nothing is kept that it has not signed', async () => {
  await world.enrol(host);
  const dice = diceOf(SEED);
  const valid = encodeReport(
    Array.from({ length: 4 }, (_, at) => entryOf(world.envelope(host, at + 1, [advice(`8.8.4.${at}/32`)], { issuedAt: NOON - 10_000 + at * 1_000 }))),
  );
  const before = world.tables.rows('envelopes').length;
  for (let run = 0; run < RUNS / 20; run++) await takeReport('web1', mutated(dice, valid, pick(dice, SEEDS)), world.rules, world.deps);
  const kept = world.tables.rows('envelopes').slice(before);
  const signed = new Set(
    Array.from({ length: 4 }, (_, at) =>
      Buffer.from(world.envelope(host, at + 1, [advice(`8.8.4.${at}/32`)], { issuedAt: NOON - 10_000 + at * 1_000 })).toString('hex'),
    ),
  );
  expect(kept.length).toBeGreaterThan(0); // mutations of one envelope leave the others
  for (const row of kept) expect(signed, `seed ${SEED}`).toContain(Buffer.from(row.bytes as Uint8Array).toString('hex'));
});
