import { test } from '@fast-check/vitest';
import { decodeIntel, encodeIntel } from '@honeymesh/intel/advisories';
import { openEnvelope, sealEnvelope } from '@honeymesh/intel/envelope';
import { encodeAccusations, encodeRekey } from '@honeymesh/intel/envelope-bodies';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { issueRegistrarCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { decodeExchange } from '#enforcer/mesh/signed/exchange-format.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { issueRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { sealGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import type { LayerOutput } from '#enforcer/mesh/signed/signed-layer.ts';
import { advice, CLUSTER, keyedHash, layerOf, NOON, prefix, rootKid, secretOf, signedBy, trust } from '#test/support/hm1.ts';

const at = (ms: number): UnixMs => unixMs(NOON + ms);
const broadcasts = (all: readonly LayerOutput[]) => all.flatMap(one => (one.kind === 'broadcast' ? [one.payload] : []));
const bundles = (all: readonly LayerOutput[]) => all.flatMap(one => (one.kind === 'send-reliable' ? [one.payload] : []));
const heard = (all: readonly LayerOutput[]) => all.flatMap(one => (one.kind === 'intel' ? one.advice.map(({ target }) => target) : []));
const refusals = (all: readonly LayerOutput[]) => all.flatMap(one => (one.kind === 'refused' ? [one.why] : []));

function pair(signatures = keyedHash()) {
  const trusted = trust(signatures);
  const [hostA, hostB] = [trusted.host('a', 'home'), trusted.host('b', 'lab')];
  const [a, b] = [layerOf(trusted, hostA), layerOf(trusted, hostB)];
  return { trusted, signatures, hostA, hostB, a: a.layer, b: b.layer, rosterA: a.roster, rosterB: b.roster };
}

type Layer = ReturnType<typeof pair>['a'];

/** A push/pull: both tell their state, both answer with what the other lacks. Bytes of the answers. */
function pushPull(one: Layer, other: Layer, now: UnixMs): { readonly outputs: LayerOutput[]; readonly bytes: number } {
  const [stateOne, stateOther] = [one.localState(false, now), other.localState(false, now)];
  const toOne = other.merge(stateOne, 'one', now);
  const toOther = one.merge(stateOther, 'other', now);
  const outputs = [...toOne, ...toOther];
  let bytes = 0;
  for (const [from, to, receiver] of [
    [toOne, 'other', one],
    [toOther, 'one', other],
  ] as const) {
    for (const bundle of bundles(from)) {
      bytes += bundle.length;
      outputs.push(...receiver.payload(bundle, to, now));
    }
  }
  for (let turn = 1; turn < 400; turn++) for (const layer of [one, other]) outputs.push(...layer.tick(unixMs(now + turn * 5)));
  return { outputs, bytes };
}

describe('two layers', () => {
  test("advise each other once both know the other's certificate, by meta alone", () => {
    const { a, b, hostA } = pair();
    const [payload] = broadcasts(a.advise([advice('203.0.113.7/32')], NOON));
    if (payload === undefined) throw new Error('nothing was said');
    expect(refusals(b.payload(payload, 'a', NOON))).toEqual(['unknown-key']);
    const meta = a.meta(1, new Uint8Array(0));
    expect(b.claims.alive({ node: 'a', address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 1, meta }, NOON).admitted).toBe(true);
    const all = b.payload(payload, 'a', NOON);
    expect(all[0]).toMatchObject({ kind: 'intel', kid: hostA.certificate.kid, epoch: 1, seq: 1, endsAt: at(3_600_000), own: false, signer: { site: 'home' } });
    expect(all[1]).toEqual({ kind: 'broadcast', payload, push: false });
  });

  test('miss nothing after one push/pull, whatever gossip lost, and say nothing twice', () => {
    const { a, b } = pair();
    for (let seq = 0; seq < 100; seq++) a.advise([advice(`203.0.113.${seq}/32`)], at(seq * 500));
    for (let seq = 0; seq < 50; seq++) b.advise([advice(`198.51.100.${seq}/32`)], at(seq * 500));
    const { outputs } = pushPull(a, b, at(60_000));
    expect(new Set(heard(outputs)).size).toBe(150);
    expect(heard(outputs)).toHaveLength(150);
    const again = pushPull(a, b, at(90_000));
    expect([heard(again.outputs).length, again.bytes]).toEqual([0, 0]);
  });

  test('that have nothing to tell exchange some bytes only', () => {
    const { a } = pair();
    expect(a.localState(false, NOON).length).toBeLessThan(64);
  });

  test('tell who joins all that it needs to believe them, in one state', () => {
    const trusted = trust(keyedHash());
    const { layer: a } = layerOf(trusted, trusted.host('a'));
    const stranger = layerOf(trusted, trusted.host('b'));
    a.advise([advice('203.0.113.7/32')], NOON);
    const state = decodeExchange(a.localState(true, NOON));
    expect(state).toMatchObject({ ok: true, value: { envelopes: [expect.anything()] } });
    expect(state.ok && state.value.certificates.length).toBe(2);
    expect(heard(stranger.layer.merge(a.localState(true, NOON), 'a', NOON))).toEqual(['203.0.113.7/32']);
    const third = layerOf(trusted, trusted.host('c'));
    // Its certificate goes with its words, also from one who only heard them.
    const passedOn = pushPull(stranger.layer, third.layer, at(1_000));
    expect(heard(passedOn.outputs)).toEqual(['203.0.113.7/32']);
  });

  test('repair in bounded steps, turn by turn over the speakers', () => {
    const trusted = trust(keyedHash());
    const antiEntropy = { digestBytes: 10_000, repairBytes: 3_000, trustBytes: 10_000 };
    const [full, empty] = [layerOf(trusted, trusted.host('full'), { antiEntropy }), layerOf(trusted, trusted.host('empty'), { antiEntropy })];
    for (const name of ['s1', 's2', 's3']) {
      const host = trusted.host(name);
      full.roster.learn(host.certificate, NOON);
      const count = name === 's1' ? 60 : 2;
      for (let seq = 1; seq <= count; seq++) {
        const body = encodeIntel({ advice: [advice(`198.18.${name.slice(1)}.${seq}/32`)], withdrawals: [] });
        full.layer.payload(signedBy(host, body, trusted.signatures, { seq, issuedAt: at(seq * 500 - 40_000) }), 'x', at(seq * 500));
      }
    }
    const first = pushPull(full.layer, empty.layer, at(60_000));
    expect(first.bytes).toBeLessThan(3_200);
    const targets = heard(first.outputs);
    expect(targets.filter(target => target.startsWith('198.18.2.'))).toHaveLength(2);
    expect(targets.filter(target => target.startsWith('198.18.3.'))).toHaveLength(2);
    // The latest first.
    expect(targets.find(target => target.startsWith('198.18.1.'))).toBe('198.18.1.60/32');
    const all = new Set(targets);
    for (let round = 1; round < 10; round++)
      for (const target of heard(pushPull(full.layer, empty.layer, at(60_000 + round * 30_000)).outputs)) all.add(target);
    expect(all.size).toBe(64);
  });

  test('lift everywhere what one lifts, also for whom the advice reaches after its withdrawal', () => {
    const { a, b } = pair();
    pushPull(a, b, NOON);
    const [said] = broadcasts(a.advise([advice('203.0.113.7/32')], NOON));
    const [lifted] = broadcasts(a.withdraw([prefix('203.0.113.7/32')], false, at(600)));
    b.claims.alive({ node: 'a', address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 1, meta: a.meta(1, new Uint8Array(0)) }, NOON);
    expect(b.payload(lifted ?? new Uint8Array(0), 'a', at(700))[0]).toMatchObject({ kind: 'intel', withdrawals: [{ epoch: 1, seq: 1 }] });
    expect(heard(b.payload(said ?? new Uint8Array(0), 'a', at(800)))).toEqual([]);
    expect(heard(pushPull(a, b, at(900)).outputs)).toEqual([]);
  });

  test('after a restart know their own words again, and can take them back', () => {
    const { a, b, trusted, hostA } = pair();
    a.advise([advice('203.0.113.7/32')], NOON);
    pushPull(a, b, at(1_000));
    const { layer: again } = layerOf(trusted, hostA, { lastEpoch: 1 }, at(60_000));
    const back = pushPull(again, b, at(61_000));
    expect(back.outputs.find(one => one.kind === 'intel')).toMatchObject({ own: true, epoch: 1, seq: 1 });
    const [lifted] = broadcasts(again.withdraw([prefix('203.0.113.7/32')], false, at(62_000)));
    const opened = openEnvelope(lifted ?? new Uint8Array(0));
    expect(opened.ok && decodeIntel(opened.value.body)).toMatchObject({ value: { withdrawals: [{ epoch: 1, seq: 1 }] } });
  });

  test('after a restart know what they had written down, withdrawals first of all', () => {
    const { a, b, trusted, hostB } = pair();
    const said = broadcasts(a.advise([advice('203.0.113.7/32'), advice('203.0.113.8/32')], NOON));
    a.withdraw([prefix('203.0.113.7/32')], false, at(600));
    pushPull(a, b, at(1_000));
    const kept = b.kept();
    expect(kept).toHaveLength(2);
    const { layer: again, roster } = layerOf(trusted, hostB, { lastEpoch: 1 }, at(60_000));
    roster.learn(trusted.host('a', 'home').certificate, at(60_000));
    expect(heard(again.restore(kept, at(60_000)))).toEqual(['203.0.113.8/32']);
    expect(said.flatMap(payload => again.payload(payload, 'replayer', at(61_000)))).toEqual([]);
  });

  test('whose digests do not fit take turns with the speakers, and answer nothing about who is not in one', () => {
    const trusted = trust(keyedHash());
    const antiEntropy = { digestBytes: 120, repairBytes: 100_000, trustBytes: 10_000 };
    const [one, other] = [layerOf(trusted, trusted.host('one'), { antiEntropy }), layerOf(trusted, trusted.host('other'), { antiEntropy })];
    for (let number = 0; number < 20; number++) {
      const host = trusted.host(`s${number}`);
      for (const { layer, roster } of [one, other]) {
        roster.learn(host.certificate, NOON);
        // Both know all of the even ones, of the odd ones only the first does.
        if (number % 2 === 1 && layer === other.layer) continue;
        const body = encodeIntel({ advice: [advice(`198.18.0.${number}/32`)], withdrawals: [] });
        layer.payload(signedBy(host, body, trusted.signatures, { epoch: 1, seq: 1 }), 'x', NOON);
      }
    }
    const digests = Array.from({ length: 12 }, () => {
      const state = decodeExchange(one.layer.localState(false, NOON));
      return state.ok ? state.value.digest : null;
    });
    expect(digests.every(digest => digest?.partial === true && digest.speakers.size < 6)).toBe(true);
    expect(new Set(digests.flatMap(digest => [...(digest?.speakers.keys() ?? [])])).size).toBe(20);
    // It lists some of what it has; nothing of the rest comes back.
    expect(bundles(other.layer.merge(one.layer.localState(false, NOON), 'one', NOON))).toEqual([]);
  });

  test('notice somebody else with their key', () => {
    const { a, hostA, signatures, trusted } = pair();
    const thief = layerOf(trusted, hostA, { lastEpoch: 6 });
    a.payload(thief.layer.localState(true, NOON), 'thief', NOON);
    const body = encodeIntel({ advice: [advice('203.0.113.9/32')], withdrawals: [] });
    layerOf(trusted, hostA);
    a.claims.alive({ node: 'a', address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 1, meta: a.meta(1, new Uint8Array(0)) }, NOON);
    const all = a.payload(signedBy(hostA, body, signatures, { epoch: 7, seq: 1 }), 'thief', NOON);
    expect(all).toContainEqual({ kind: 'own-key-elsewhere', epoch: 7, seq: 1 });
    expect(heard(all)).toEqual([]);
  });
});

describe('trust on the move', () => {
  test('revocations travel by push/pull, and the words of the revoked go', () => {
    const { a, b, rosterA, hostB, trusted, signatures } = pair();
    b.advise([advice('203.0.113.7/32')], NOON);
    pushPull(a, b, NOON);
    const { kid, notAfter } = hostB.certificate;
    const list = issueRevocations(
      { clusterId: CLUSTER, number: 1, entries: [{ kid, notAfter }] },
      { kid: rootKid, secret: trusted.rootSecret },
      signatures,
      NOON,
    );
    const { layer: c, roster } = layerOf(trusted, trusted.host('c'));
    roster.learnRevocations(list, NOON);
    const { outputs } = pushPull(c, a, at(1_000));
    expect(outputs).toContainEqual({ kind: 'revoked', kid, node: 'b' });
    expect(rosterA.node(kid, at(1_000))).toEqual({ ok: false, why: 'revoked' });
    expect(a.kept()).toEqual([]);
    const { layer: d } = layerOf(trusted, trusted.host('d'));
    expect(heard(pushPull(a, d, at(2_000)).outputs)).toEqual([]);
  });

  test('a registrar that is new comes with its certificate, and the hosts that hang on it', () => {
    const { a, b, trusted, rosterA } = pair();
    const secret = secretOf('second registrar');
    const second = issueRegistrarCertificate(
      { clusterId: CLUSTER, sites: ['shop'], edPublic: edPublicOf(secret), notBefore: NOON, notAfter: at(24 * HOUR_MS) },
      trusted.rootSecret,
      trusted.signatures,
    );
    rosterA.learn(second, NOON);
    const { outputs } = pushPull(a, b, NOON);
    expect(refusals(outputs)).toEqual([]);
    expect(pushPull(a, b, at(1_000)).bytes).toBe(0);
  });

  test('a group key comes sealed from the registrar and is taken in steps; one that was shut out cannot read it', () => {
    const { a, b, trusted, hostA, signatures } = pair();
    const group = { generation: 1, key: secretOf('new group key'), useAt: at(5_000), dropOldAt: at(60_000) };
    const sealing = { clusterId: CLUSTER, issuer: trusted.registrar.kid, ephemeralSecret: secretOf('ephemeral') };
    const body = encodeRekey(sealGroupKey(group, [hostA.certificate], sealing));
    const header = { kid: trusted.registrar.kid, epoch: 1, seq: 1, issuedAt: NOON, ttlS: 86_400, type: 'rekey' as const };
    const payload = sealEnvelope(header, body, { clusterId: CLUSTER, secret: trusted.registrarSecret, signatures });
    expect(a.payload(payload, 'r', NOON)).toContainEqual({ kind: 'add-key', key: group.key });
    expect(b.payload(payload, 'r', NOON).map(({ kind }) => kind)).toEqual(['broadcast']);
    expect(a.nextDeadline()).toBeLessThanOrEqual(at(5_000));
    expect(a.tick(at(5_000))).toContainEqual({ kind: 'use-key', key: group.key, generation: 1 });
    expect(a.tick(at(60_000))).toContainEqual({ kind: 'remove-key', key: new Uint8Array(32) });
  });

  test('accusations are counted by name, a goodbye is told to the core', () => {
    const { a, b, trusted, hostA, hostB, signatures } = pair();
    pushPull(a, b, NOON);
    b.advise([advice('203.0.113.7/32')], NOON);
    pushPull(a, b, at(1_000));
    for (const payload of broadcasts(b.accuse([{ subject: 'c', incarnation: 2 }], at(2_000)))) a.payload(payload, 'b', at(2_000));
    const dead = { kind: 'dead' as const, node: 'c', from: 'z', incarnation: 2 };
    expect(a.claims.accusation(dead, at(2_000))).toBe('as-suspect');
    a.accuse([{ subject: 'c', incarnation: 2 }], at(2_000));
    expect(a.claims.accusation(dead, at(2_000))).toBe('accept');
    // For two minutes at the most, whatever life it gives it.
    const { layer: c } = layerOf(trusted, trusted.host('c'));
    pushPull(a, c, at(2_100));
    for (const [host, seq] of [
      [hostA, 77],
      [hostB, 78],
    ] as const) {
      const body = encodeAccusations([{ subject: 'e', incarnation: 2 }]);
      c.payload(signedBy(host, body, signatures, { epoch: 3, seq, issuedAt: at(2_000), ttlS: 86_400, type: 'accusation' }), 'x', at(2_000));
    }
    expect(c.claims.accusation({ ...dead, node: 'e' }, at(121_999))).toBe('accept');
    expect(c.claims.accusation({ ...dead, node: 'e' }, at(122_000))).toBe('as-suspect');
    const [goodbye] = broadcasts(b.leave(9, at(3_000)));
    expect(a.payload(goodbye ?? new Uint8Array(0), 'b', at(3_000))[0]).toEqual({ kind: 'left', node: 'b', incarnation: 9 });
  });
});

test('a question that came by datagram is not answered: its source may be somebody else', () => {
  const { a, b } = pair();
  a.advise([advice('203.0.113.7/32')], NOON);
  const question = b.localState(false, NOON);
  expect(bundles(a.payload(question, 'b', NOON))).toEqual([]);
  expect(bundles(a.merge(question, 'b', NOON))).toHaveLength(1);
});

test('what is no HM1 is refused, whoever sent it; states of others are none of our business', () => {
  const { a } = pair();
  expect(refusals(a.payload(Uint8Array.of(1, 2, 3), 'go', NOON))).toEqual(['not-hm1']);
  expect(refusals(a.payload(new Uint8Array(0), 'go', NOON))).toEqual(['not-hm1']);
  expect(a.merge(Uint8Array.of(1, 2, 3), 'go', NOON)).toEqual([]);
  expect(refusals(a.merge(Uint8Array.of(0x48, 0x4d, 0x53, 1, 1, 0, 0, 0, 9), 'go', NOON))).toEqual(['malformed-exchange']);
});
