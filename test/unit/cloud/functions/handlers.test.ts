/** The functions as Lambda calls them, on tables in memory: what they make of an event, and that nothing that a host says makes them reject. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeHeartbeat, writeMessage } from '@honeymesh/intel/hub-messages';
import { encodeReport } from '@honeymesh/intel/hub-report';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '@honeymesh/intel/time';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { FUNCTIONS, SETTINGS } from '#cloud/functions/functions.ts';
import { codeName } from '#cloud/hub/enrolment-codes.ts';
import { createCodes } from '#cloud/store/codes.ts';
import { createPeers } from '#cloud/store/peers.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { advice, CLUSTER, NOON, real, trust } from '#test/support/hm1.ts';
import { createHubWorld, entryOf, type HubWorld } from '#test/support/hub/hub-world.ts';

const seen = vi.hoisted(() => ({
  world: undefined as unknown,
  deactivated: [] as string[],
  counts: new Map<string, number>(),
  uploads: new Map<string, Uint8Array>(),
}));
const world = (): HubWorld => seen.world as HubWorld;

vi.mock('#cloud/functions/aws/tables.ts', () => ({
  awsTables: () =>
    new Proxy(
      {},
      {
        get:
          (_, name) =>
          (...args: unknown[]) =>
            (Reflect.get(world().tables, name) as (...all: unknown[]) => unknown)(...args),
      },
    ),
}));
vi.mock('#cloud/functions/aws/time.ts', () => ({ now: () => world().now(), sleep: async () => {} }));
vi.mock('#cloud/functions/aws/publisher.ts', () => ({ awsPublisher: () => (topic: string, payload: Uint8Array) => world().deps.publish(topic, payload) }));
vi.mock('#cloud/functions/aws/signer.ts', () => ({ awsSigner: () => (digest: Uint8Array) => world().deps.sign(digest) }));
vi.mock('#cloud/functions/aws/registry.ts', () => ({
  awsRegistry: () => ({
    registered: (thing: string) => world().answerDeps.registered(thing),
    deactivate: async (certificate: string) => void seen.deactivated.push(certificate),
  }),
}));
vi.mock('#cloud/functions/aws/objects.ts', () => ({
  awsObjects: () => ({ ...world().answerDeps.objects, read: async (key: string) => seen.uploads.get(key) ?? null }),
}));
vi.mock('#cloud/functions/aws/telemetry.ts', () => ({
  awsTelemetry: () => ({
    count: (what: string, by: ReadonlyMap<string, number> | number = 1) => {
      for (const [why, number] of typeof by === 'number' ? [['', by] as const] : by) {
        const name = why === '' ? what : `${what} ${why}`;
        seen.counts.set(name, (seen.counts.get(name) ?? 0) + number);
      }
    },
    info: () => {},
    warn: () => {},
    error: () => {},
    flush: () => {},
  }),
}));

const cluster = trust(real);
const host = cluster.host('web1', 'home');
const PRINCIPAL = 'ab'.repeat(32);

Object.assign(process.env, {
  HONEYMESH_CLUSTER: Buffer.from(CLUSTER).toString('hex'),
  HONEYMESH_ROOT: Buffer.from(edPublicOf(cluster.rootSecret)).toString('hex'),
  HONEYMESH_SIGNING_KEY: 'key',
  HONEYMESH_BUCKET: 'bucket',
  HONEYMESH_QUARANTINE_AFTER: '20',
});

/** As the rule hands it over. */
const event = (kind: string, payload: Uint8Array | string, more = {}) => ({
  payload: Buffer.from(payload).toString('base64'),
  client: 'web1',
  topic: `honeymesh/v1/web1/${kind}`,
  at: world().now(),
  principal: PRINCIPAL,
  ...more,
});

const streamRecords = (events: ReturnType<HubWorld['tables']['takeStream']>) => ({
  Records: events.map(({ event: eventID, name, item }) => ({
    eventID,
    eventName: name,
    dynamodb: {
      SequenceNumber: eventID,
      NewImage: Object.fromEntries(
        Object.entries(item).map(([key, value]) => [
          key,
          value instanceof Uint8Array ? { B: Buffer.from(value).toString('base64') } : typeof value === 'number' ? { N: String(value) } : { S: String(value) },
        ]),
      ),
    },
  })),
});

const load = async (name: keyof typeof FUNCTIONS): Promise<(event: unknown) => Promise<unknown>> =>
  ((await import(join(import.meta.dirname, '../../../..', FUNCTIONS[name].entry))) as { handler: (event: unknown) => Promise<unknown> }).handler;

beforeEach(async () => {
  seen.world = createHubWorld({ trusted: cluster });
  seen.counts.clear();
  seen.deactivated.length = 0;
  await world().enrol(host);
});

const counted = (): Record<string, number> => Object.fromEntries([...seen.counts].filter(([, number]) => number > 0));

test('from a report to an advisory and a receipt', async () => {
  const [ingest, fanOut, receipts] = [await load('ingest'), await load('fan-out'), await load('receipts')];
  await ingest(event('intel', encodeReport([entryOf(world().envelope(host, 1, [advice('8.8.4.4/32', { tier: 'E2' })]))])));
  expect(await fanOut(streamRecords(world().tables.takeStream('envelopes')))).toEqual({ batchItemFailures: [] });
  expect(await receipts(streamRecords(world().tables.takeStream('paces')))).toEqual({ batchItemFailures: [] });
  expect(world().published.map(({ topic }) => topic)).toEqual(['honeymesh/v1/advisory', 'honeymesh/v1/web1/receipt']);
  expect(world().receiptsOf(host)).toMatchObject([{ upTo: 1 }]);
  expect(counted()).toMatchObject({ Taken: 1, Urgent: 1, Advisories: 1, Receipts: 1 });
});

test.each([
  ["another peer's topic", { topic: 'honeymesh/v1/db1/intel' }, 'other-topic'],
  ['another kind of topic', { topic: 'honeymesh/v1/web1/heartbeat' }, 'other-topic'],
  ['a topic that is too deep', { topic: 'honeymesh/v1/web1/intel/more' }, 'other-topic'],
  ['a name that is none', { client: '../x', topic: 'honeymesh/v1/../x/intel' }, 'other-topic'],
  ['a name with a blank', { client: 'a b', topic: 'honeymesh/v1/a b/intel' }, 'bad-name'],
  ['a message of the day before', { at: NOON - 25 * HOUR_MS }, 'too-old'],
  ['a payload that is no base64', { payload: '***' }, 'not-an-event'],
  ['no payload', { payload: undefined }, 'not-an-event'],
  ['what is too long', { payload: 'A'.repeat(174_768) }, 'oversize'],
])('%s is counted and dropped', async (_, more, why) => {
  const ingest = await load('ingest');
  const report = encodeReport([entryOf(world().envelope(host, 1, [advice('8.8.4.4/32')]))]);
  await ingest(event('intel', report, more));
  expect(counted()).toEqual({ [`Refused ${why}`]: 1 });
  expect(world().tables.rows('envelopes')).toEqual([]);
});

test('who is refused again and again in a minute is set INACTIVE, once', async () => {
  const ingest = await load('ingest');
  for (let at = 0; at < 40; at++) await ingest(event('intel', 'nonsense'));
  expect(seen.deactivated).toEqual([PRINCIPAL]);
  expect(counted()).toEqual({ 'Refused not-a-report': 40, Quarantined: 1 });
  expect(await createPeers(world().tables).hosts(10)).toMatchObject([{ thing: 'web1', quarantined: true }]);
  // Set active again by an operator, it introduces itself.
  world().pass(MINUTE_MS);
  await world().enrol(host);
  expect(await createPeers(world().tables).hosts(10)).toMatchObject([{ thing: 'web1', quarantined: false }]);
});

test('who is refused now and then is not', async () => {
  const ingest = await load('ingest');
  for (let at = 0; at < 60; at++) {
    await ingest(event('intel', 'nonsense'));
    world().pass(4 * SECOND_MS);
  }
  expect(seen.deactivated).toEqual([]);
});

describe('a heartbeat', () => {
  const beat = { v: 1, at: NOON, version: '0.1.0', mode: 'enforce', bans: 3, waiting: 0, head: { epoch: 1, number: 2 }, degraded: ['mesh'] } as const;

  test('is kept, one a minute', async () => {
    const heartbeat = await load('heartbeat');
    for (let at = 0; at < 3; at++) await heartbeat(event('heartbeat', writeHeartbeat(beat)));
    expect(counted()).toEqual({ Heartbeats: 1, 'Refused too-often': 2 });
    world().pass(MINUTE_MS);
    await heartbeat(event('heartbeat', writeHeartbeat({ ...beat, bans: 4 })));
    expect(await createPeers(world().tables).hosts(10)).toMatchObject([{ thing: 'web1', heartbeat: { receivedAt: NOON + MINUTE_MS, said: { bans: 4 } } }]);
  });

  test.each([
    ['too long', 'x'.repeat(1_025), 'oversize'],
    ['no JSON', '{', 'not-json'],
    ['of another shape', '{"v":1}', 'wrong-shape'],
    ['with a field more', JSON.stringify({ ...beat, admin: true }), 'wrong-shape'],
    ['of a mode that there is not', JSON.stringify({ ...beat, mode: 'off' }), 'wrong-shape'],
  ])('%s is refused', async (_, payload, why) => {
    await (await load('heartbeat'))(event('heartbeat', payload));
    expect(counted()).toEqual({ [`Refused ${why}`]: 1 });
  });
});

test('presence is a hint: the latest counts, in whatever order they come', async () => {
  const lifecycle = await load('lifecycle');
  const presence = (eventType: string, timestamp: number) => ({
    payload: Buffer.from(
      JSON.stringify({ clientId: 'web1', timestamp, eventType, sessionIdentifier: 'x', principalIdentifier: PRINCIPAL, versionNumber: 3 }),
    ).toString('base64'),
    topic: `$aws/events/presence/${eventType}/web1`,
  });
  await lifecycle(presence('disconnected', NOON + 2_000));
  await lifecycle(presence('connected', NOON + 1_000));
  await lifecycle(presence('connected', NOON + 1_000));
  expect(await createPeers(world().tables).hosts(10)).toMatchObject([{ presence: { connected: false, at: NOON + 2_000 } }]);
  await lifecycle(presence('connected', NOON + 3_000));
  expect(await createPeers(world().tables).hosts(10)).toMatchObject([{ presence: { connected: true } }]);
  for (const payload of ['', 'AAAA', Buffer.from('{"eventType":"connected"}').toString('base64')]) await lifecycle({ payload });
  expect(counted()).toMatchObject({ Presence: 2, OldPresence: 2 });
});

test('a question is answered on the topic of who asked; nonsense is not', async () => {
  const answers = await load('answers');
  await answers(event('get', writeMessage({ v: 1, id: 'q', ask: 'introduce', certificates: [cluster.registrar.bytes, host.certificate.bytes] })));
  await answers(event('get', '{"v":1}'));
  await answers(event('get', '{"v":1,"id":"q","ask":"snapshot"}', { client: 'db1' }));
  expect(world().published.map(({ topic }) => topic)).toEqual(['honeymesh/v1/web1/answer']);
  expect(counted()).toEqual({ 'Answers introduced': 1, 'Refused wrong-shape': 1, 'Refused other-topic': 1 });
});

test('a batch that could not be passed on is delivered again', async () => {
  const [ingest, fanOut] = [await load('ingest'), await load('fan-out')];
  await ingest(event('intel', encodeReport([entryOf(world().envelope(host, 1, [advice('8.8.4.4/32', { tier: 'E2' })]))])));
  const records = streamRecords(world().tables.takeStream('envelopes'));
  world().faults.publish = () => {
    throw new Error('throttled');
  };
  expect(await fanOut(records)).toEqual({ batchItemFailures: [{ itemIdentifier: records.Records[0]?.dynamodb.SequenceNumber }] });
});

test('removals by TTL and records that are none make nothing', async () => {
  const [fanOut, receipts] = [await load('fan-out'), await load('receipts')];
  for (const handler of [fanOut, receipts]) {
    for (const records of [
      null,
      {},
      { Records: 'x' },
      { Records: [null, 1, {}, { eventName: 'REMOVE', dynamodb: { NewImage: {} } }, { eventName: 'INSERT', dynamodb: { NewImage: { kid: { S: 'x' } } } }] },
    ]) {
      expect(await handler(records)).toEqual({ batchItemFailures: [] });
    }
  }
  expect(world().published).toEqual([]);
});

test('the digest runs by the clock, and counts who listens each fifth minute', async () => {
  const digest = await load('digest');
  const heartbeat = await load('heartbeat');
  await heartbeat(event('heartbeat', writeHeartbeat({ v: 1, at: NOON, version: '1', mode: 'observe', bans: 0, waiting: 0, head: null, degraded: [] })));
  await digest({});
  expect(world().advisories()).toMatchObject([{ kind: 'digest', number: 0 }]);
  expect(await world().stores.advisories.forBatch('x')).toMatchObject({ listening: 1 });
});

describe('an upload', () => {
  const upload = (key: string) => ({ Records: [{ s3: { object: { key } } }] });

  test('is reports one after the other', async () => {
    const uploads = await load('uploads');
    world().at(NOON + 10 * MINUTE_MS);
    const reports = [1, 2, 3].map(seq => encodeReport([entryOf(world().envelope(host, seq, [advice('8.8.4.4/32')], { issuedAt: NOON + seq * SECOND_MS }))]));
    const lengthOf = (bytes: Uint8Array) => Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]);
    seen.uploads.set('uploads/web1/x y', Buffer.concat(reports.flatMap(bytes => [lengthOf(bytes), bytes])));
    await uploads(upload('uploads/web1/x+y'));
    expect(counted()).toEqual({ Taken: 3 });
  });

  test('under no name of ours, or of nonsense, is refused', async () => {
    const uploads = await load('uploads');
    seen.uploads.set('uploads/web1/short', Buffer.from([0, 0, 1, 0, 7]));
    for (const key of ['uploads/web1/short', 'uploads/web1', 'answers/web1/x', 'uploads/../x/y', '%E0%A4%A']) await uploads(upload(key));
    await uploads({});
    expect(counted()).toEqual({ 'Refused malformed': 1, 'Refused other-upload': 4 });
  });
});

describe('the provisioning hook', () => {
  const CODE = 'A'.repeat(22);
  const claim = (more = {}, beside = {}) => ({
    claimCertificateId: 'c', certificateId: 'd', templateArn: 'arn', clientId: 'x', ...beside,
    parameters: { ThingName: 'new1', Site: 'home', Kid: host.certificate.kid, Code: CODE, ...more },
  }); // biome-ignore format: as IoT sends it
  const allow = async (left: number, expiresAt = NOON + HOUR_MS) => createCodes(world().tables).create(codeName(CODE), { site: 'home', left, expiresAt });

  test('lets in so many hosts as the code says, each as one that came by claim', async () => {
    const hook = await load('provisioning-hook');
    await allow(2);
    expect(await hook(claim())).toEqual({
      allowProvisioning: true,
      parameterOverrides: { ThingName: 'new1', Site: 'home', Kid: host.certificate.kid, EnrolledBy: 'claim', EnrolledAt: String(NOON) },
    });
    expect(await hook(claim({ ThingName: 'new2' }))).toMatchObject({ allowProvisioning: true });
    expect(await hook(claim({ ThingName: 'new3' }))).toEqual({ allowProvisioning: false });
    expect(counted()).toEqual({ Enrolled: 2, 'Refused used-up': 1 });
  });

  test.each([
    ['another code', { Code: 'B'.repeat(22) }, 'unknown-code'],
    ['another site', { Site: 'lab' }, 'other-site'],
    ['the name of a host that is there', { ThingName: 'web1' }, 'thing-exists'],
    ['a name that is none', { ThingName: 'a/b' }, 'wrong-shape'],
    ['a key id that is none', { Kid: 'x' }, 'wrong-shape'],
    ['no code', { Code: undefined }, 'wrong-shape'],
  ])('refuses %s', async (_, more, why) => {
    const hook = await load('provisioning-hook');
    await allow(1);
    expect(await hook(claim(more))).toEqual({ allowProvisioning: false });
    expect(counted()).toEqual({ [`Refused ${why}`]: 1 });
  });

  test('refuses a code that has ended, and events of any shape', async () => {
    const hook = await load('provisioning-hook');
    await allow(1, NOON);
    for (const given of [claim(), null, 'x', {}, { parameters: [] }, { parameters: null }]) expect(await hook(given)).toEqual({ allowProvisioning: false });
  });

  test('what a host says of how it was enrolled is overruled', async () => {
    const hook = await load('provisioning-hook');
    await allow(1);
    expect(await hook(claim({ EnrolledBy: 'operator', EnrolledAt: '1', 'AWS::IoT::Certificate::Id': 'd' }))).toMatchObject({
      parameterOverrides: { EnrolledBy: 'claim', EnrolledAt: String(NOON) },
    });
  });
});

test('each function has a handler of at most 40 lines, and asks for settings that there are', () => {
  const root = join(import.meta.dirname, '../../../..');
  for (const [name, { entry, settings }] of Object.entries(FUNCTIONS)) {
    expect(readFileSync(join(root, entry), 'utf8').trimEnd().split('\n').length, name).toBeLessThanOrEqual(40);
    for (const setting of settings) expect(Object.keys(SETTINGS)).toContain(setting);
  }
  const folders = readdirSync(join(root, 'cloud/functions'), { withFileTypes: true })
    .filter(one => one.isDirectory())
    .map(one => one.name);
  expect(folders.filter(name => name !== 'aws' && name !== 'shared').sort()).toEqual(Object.keys(FUNCTIONS).sort());
});
