import { decodeAdvisoryList } from '@honeymesh/intel/hub-advisory';
import { readAnswer, readQuestion, writeMessage } from '@honeymesh/intel/hub-messages';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { longestLived } from '#cloud/functions/answers/answer.ts';
import { issueNodeCertificate, issueRegistrarCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, kidOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { advice, CLUSTER, NOON, real, secretOf, trust } from '#test/support/hm1.ts';
import { advisoryOf, createHubWorld, isSignedByHub, opened, value } from '#test/support/hub/hub-world.ts';

const cluster = trust(real);
const host = cluster.host('web1', 'home');
const other = cluster.host('db1', 'lab');

async function hub() {
  const world = createHubWorld({ trusted: cluster });
  await world.enrol(host);
  await world.enrol(other);
  return world;
}

async function withAdvisories(count: number, ofEach = 1) {
  const world = await hub();
  world.at(NOON + 30 * MINUTE_MS);
  const many = Array.from({ length: ofEach }, (_, at) => advice(`8.8.${at}.0/24`));
  for (let seq = 1; seq <= count; seq++) {
    await world.report(host, [world.envelope(host, seq, many, { issuedAt: NOON + seq * 2 * SECOND_MS })]);
    await world.digest();
  }
  return world;
}

describe('a host introduces itself', () => {
  const both = [cluster.registrar.bytes, host.certificate.bytes];

  test('with its certificate and its registrar, in any order', async () => {
    const world = await hub();
    expect(await world.ask('web1', { ask: 'introduce', certificates: both })).toMatchObject({ kind: 'introduced', votesFrom: 0 });
    expect(await world.ask('web1', { ask: 'introduce', certificates: both.toReversed() })).toMatchObject({ kind: 'introduced' });
    expect(await world.stores.peers.identity('web1')).toMatchObject({ kid: host.certificate.kid, site: 'home' });
  });

  test.each([
    ['under another name', 'db1', both, 'other-name'],
    ['without its registrar', 'web1', [host.certificate.bytes], 'unknown-certificate'],
    ['without its own', 'web1', [cluster.registrar.bytes], 'unknown-certificate'],
    ['with half a certificate', 'web1', [cluster.registrar.bytes, host.certificate.bytes.subarray(0, 90)], 'bad-certificate'],
  ])('%s: refused', async (_, thing, certificates, why) => {
    const world = await hub();
    expect(await world.ask(thing, { ask: 'introduce', certificates })).toMatchObject({ kind: 'refused', why });
  });

  test('with another key, a registrar of another site, one that signed itself, after the end: refused', async () => {
    const world = await hub();
    const dates = { notBefore: unixMs(NOON - DAY_MS), notAfter: unixMs(NOON + DAY_MS) };
    const certify = (keys: string, site: string, by: string) =>
      issueNodeCertificate(
        { clusterId: CLUSTER, nodeName: 'web1', site, edPublic: edPublicOf(secretOf(`${keys} ed`)), xPublic: xPublicOf(secretOf(`${keys} x`)), ...dates },
        { kid: kidOf(edPublicOf(secretOf(by))), secret: secretOf(by) },
        real,
      ).bytes;
    const registrar = (name: string, root: string, sites: readonly string[]) =>
      issueRegistrarCertificate({ clusterId: CLUSTER, sites, edPublic: edPublicOf(secretOf(name)), ...dates }, secretOf(root), real).bytes;
    const ask = async (...certificates: Uint8Array[]) => {
      const given = await world.ask('web1', { ask: 'introduce', certificates });
      return given.kind === 'refused' ? given.why : given.kind;
    };
    expect(await ask(cluster.registrar.bytes, certify('thief', 'home', 'registrar'))).toBe('other-key');
    expect(await ask(registrar('lab only', 'root', ['lab']), certify('web1', 'home', 'lab only'))).toBe('no-trust');
    expect(await ask(registrar('self', 'self', ['home']), certify('web1', 'home', 'self'))).toBe('no-trust');
    expect(await ask(registrar('registrar', 'root', ['home']), certify('web1', 'home', 'self'))).toBe('no-trust');
    world.pass(2 * DAY_MS);
    expect(await ask(cluster.registrar.bytes, certify('web1', 'home', 'registrar'))).toBe('bad-certificate');
  });
});

describe('missing numbers', () => {
  test('come inline, and those whose content has ended do not', async () => {
    const world = await withAdvisories(5);
    const epoch = (await world.stores.advisories.head())?.epoch ?? 0;
    const given = await world.ask('db1', { ask: 'range', epoch, from: 2, to: 4 });
    expect(given).toMatchObject({ kind: 'range', from: 2, to: 4, head: 5 });
    if (given.kind !== 'range') throw new Error('no range');
    expect(given.advisories.map(bytes => advisoryOf(bytes).number)).toEqual([2, 3, 4]);
    expect(given.advisories.every(bytes => isSignedByHub(advisoryOf(bytes)))).toBe(true);
    expect(value(readAnswer(writeMessage(given)))).toEqual(given);
    expect(await world.ask('db1', { ask: 'range', epoch, from: 4, to: 9_999_999 })).toMatchObject({ from: 4, to: 5 });
    expect(await world.ask('db1', { ask: 'range', epoch, from: 4, to: 3 })).toMatchObject({ kind: 'refused', why: 'bad-range' });
    world.at(NOON + HOUR_MS + 5 * SECOND_MS);
    const later = await world.ask('db1', { ask: 'range', epoch, from: 1, to: 5 });
    expect(later.kind === 'range' ? later.advisories.map(bytes => advisoryOf(bytes).number) : later).toEqual([3, 4, 5]);
  });

  test('of another epoch are void: the answer says which one it is', async () => {
    const world = await withAdvisories(2);
    const epoch = (await world.stores.advisories.head())?.epoch ?? 0;
    expect(await world.ask('db1', { ask: 'range', epoch: epoch - 1, from: 1, to: 2 })).toMatchObject({ kind: 'range', epoch, to: 0, advisories: [] });
  });

  test('that are too long for a message come as an object', async () => {
    const world = await withAdvisories(100, 80);
    const epoch = (await world.stores.advisories.head())?.epoch ?? 0;
    const given = await world.ask('db1', { ask: 'range', epoch, from: 1, to: 100 });
    expect(given).toMatchObject({ kind: 'range-object', from: 1, to: 100 });
    const [bytes] = world.objects.values();
    expect(value(decodeAdvisoryList(bytes ?? new Uint8Array(0))).map(one => advisoryOf(one).number)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
    expect(writeMessage(given).length).toBeLessThan(2_000);
  });
});

test('more numbers than one answer holds: it says up to where it goes', async () => {
  const world = await withAdvisories(170);
  const epoch = (await world.stores.advisories.head())?.epoch ?? 0;
  const given = await world.ask('db1', { ask: 'range', epoch, from: 1, to: 170 });
  expect(given).toMatchObject({ kind: 'range-object', from: 1, to: 160, head: 170 });
  expect(await world.ask('db1', { ask: 'range', epoch, from: 161, to: 170 })).toMatchObject({ kind: 'range', from: 161, to: 170 });
});

describe('a snapshot', () => {
  test('holds all that holds, and the head', async () => {
    const world = await withAdvisories(3);
    const given = await world.ask('db1', { ask: 'snapshot' });
    const snapshot = given.kind === 'snapshot' ? advisoryOf(given.advisory) : null;
    expect(snapshot).toMatchObject({ kind: 'snapshot', number: 0, head: 3 });
    expect(snapshot?.envelopes.map(bytes => opened(bytes).seq)).toEqual([1, 2, 3]);
    expect(snapshot && isSignedByHub(snapshot)).toBe(true);
  });

  test('that is long is made once a minute, however many ask', async () => {
    const world = await withAdvisories(100, 80);
    expect(await world.ask('db1', { ask: 'snapshot' })).toMatchObject({ kind: 'snapshot-object' });
    expect(await world.ask('web1', { ask: 'snapshot' })).toMatchObject({ kind: 'snapshot-object' });
    expect(world.objects.size).toBe(1);
    expect(advisoryOf([...world.objects.values()][0] ?? new Uint8Array(0)).envelopes).toHaveLength(100);
    world.pass(MINUTE_MS);
    await world.ask('db1', { ask: 'snapshot' });
    expect(world.objects.size).toBe(2);
  });
});

test('a snapshot that does not hold all leaves out what ends first', () => {
  const kept = (expiresAt: number) => ({
    ref: { kid: 'k' as never, id: String(expiresAt) },
    thing: 'web1',
    site: 'home',
    votesFrom: 0,
    envelope: new Uint8Array(98),
    expiresAt,
  });
  expect(longestLived([kept(1), kept(3), kept(2)], 200).map(one => one.expiresAt)).toEqual([3, 2]);
  expect(longestLived([kept(1), kept(3), kept(2)])).toHaveLength(3);
});

test('an upload is offered under the name of who asks', async () => {
  const world = await hub();
  expect(await world.ask('web1', { ask: 'upload', bytes: 1_000_000 })).toMatchObject({
    kind: 'upload',
    url: 'https://bucket/uploads/web1/random',
    bytes: 1_000_000,
  });
});

test('who asks without end is told so, and may ask again later', async () => {
  const world = await hub();
  const kinds = [];
  for (let at = 0; at < 30; at++) kinds.push((await world.ask('web1', { ask: 'upload', bytes: 1 })).kind);
  expect(kinds.filter(kind => kind === 'upload')).toHaveLength(19); // one was the introduction
  world.pass(2 * SECOND_MS);
  expect((await world.ask('web1', { ask: 'upload', bytes: 1 })).kind).toBe('upload');
});

test.each([
  ['{"v":1,"id":"a","ask":"range","epoch":1,"from":1,"to":2}', true],
  ['{"v":1,"id":"a","ask":"range","epoch":1,"from":0,"to":2}', false],
  ['{"v":1,"id":"a","ask":"range","epoch":1,"from":1,"to":2,"thing":"db1"}', false],
  ['{"v":2,"id":"a","ask":"snapshot"}', false],
  ['{"v":1,"id":"a b","ask":"snapshot"}', false],
  ['{"v":1,"id":"a","ask":"upload","bytes":8388609}', false],
  ['{"v":1,"id":"a","ask":"introduce","certificates":["AAAA","!!!!"]}', false],
  ['[]', false],
  ['', false],
])('the question %s is one: %s', (text, ok) => {
  expect(readQuestion(Buffer.from(text)).ok).toBe(ok);
});
