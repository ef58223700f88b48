import { test } from '@fast-check/vitest';
import { encodeIntel, type Intel } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, kidFromBytes, sealEnvelope } from '@honeymesh/intel/envelope';
import { encodeLeave, encodeRekey } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, HOUR_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { BOOK_LIMITS, createLiveBook } from '#enforcer/mesh/signed/live-book.ts';
import { verdictOf } from '#enforcer/mesh/signed/misuse.ts';
import { createReceiver, RECEIVER_LIMITS, type Received } from '#enforcer/mesh/signed/receiver.ts';
import { issueRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { createSpeakers } from '#enforcer/mesh/signed/speakers.ts';
import { createTombstones } from '#enforcer/mesh/signed/tombstones.ts';
import { advice, CLUSTER, type Host, keyedHash, NOON, prefix, real, rootKid, secretOf, signedBy, trust } from '#test/support/hm1.ts';

const intelBody = (intel: Partial<Intel>): Uint8Array => encodeIntel({ advice: [], withdrawals: [], ...intel });
const aBody = intelBody({ advice: [advice('203.0.113.7/32')] });

function scene(signatures = keyedHash()) {
  const trusted = trust(signatures);
  const roster = trusted.roster();
  const hosts = ['db1', 'db2', 'db3'].map(name => trusted.host(name)) as [Host, Host, Host];
  for (const { certificate } of hosts) roster.learn(certificate, NOON);
  const book = createLiveBook(BOOK_LIMITS);
  const speakers = createSpeakers();
  const tombstones = createTombstones();
  const receiver = createReceiver({ clusterId: CLUSTER, ...RECEIVER_LIMITS }, { roster, book, speakers, tombstones, signatures });
  let arrivalMs: number = NOON;
  return {
    trusted,
    roster,
    hosts,
    book,
    speakers,
    tombstones,
    receiver,
    signatures,
    get: (bytes: Uint8Array, more: { at?: number; hop?: string; path?: 'live' | 'repair' } = {}): readonly Received[] => {
      arrivalMs = more.at ?? arrivalMs;
      return receiver.receive(bytes, { path: more.path ?? 'live', hop: more.hop ?? 'hop' }, unixMs(arrivalMs));
    },
    say: (host: Host, header: Partial<EnvelopeHeader>, body = aBody) => signedBy(host, body, signatures, header),
  };
}

const kinds = (all: readonly Received[]): readonly string[] => all.map(one => (one.kind === 'refused' ? one.why : one.kind));
const targets = (all: readonly Received[]): readonly string[] =>
  all.flatMap(one => (one.kind === 'deliver' && one.content.type === 'intel' ? one.content.advice.map(({ target }) => target) : []));

describe('an envelope that comes in', () => {
  test('is delivered with its signer, and passed on byte for byte, once', () => {
    const { hosts, get, say, book } = scene();
    const bytes = say(hosts[0], {});
    const all = get(bytes);
    expect(kinds(all)).toEqual(['deliver', 'relay']);
    expect(all[0]).toMatchObject({ header: { seq: 1 }, signer: { nodeName: 'db1', site: 'home' }, content: { type: 'intel', withdrawals: [] } });
    expect(all[1]).toEqual({ kind: 'relay', payload: bytes });
    expect(get(bytes)).toEqual([]);
    expect(book.items).toBe(1);
  });

  test('is its own copy: the datagram may be reused', () => {
    const { hosts, get, say, book } = scene();
    const bytes = say(hosts[0], {});
    const datagram = bytes.slice();
    get(datagram);
    datagram.fill(0);
    expect(book.get(hosts[0].certificate.kid, 1, 1)?.bytes).toEqual(bytes);
  });

  test('dies before any signature is checked when it is long, strange, of nobody, ill-timed or known', () => {
    const signatures = keyedHash();
    const { hosts, get, say, trusted } = scene(signatures);
    get(say(hosts[0], { seq: 1 }));
    const before = signatures.checks;
    const stranger = trusted.host('stranger');
    expect(kinds(get(new Uint8Array(1_356)))).toEqual(['too-long']);
    expect(kinds(get(Uint8Array.of(1, 2, 3)))).toEqual(['not-hm1']);
    expect(kinds(get(say(stranger, {})))).toEqual(['unknown-key']);
    expect(kinds(get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 30_001) })))).toEqual(['from-the-future']);
    expect(kinds(get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON - HOUR_MS) })))).toEqual(['expired']);
    expect(kinds(get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON - DAY_MS), ttlS: 0xffff_ffff })))).toEqual(['expired']);
    for (let turn = 0; turn < 100; turn++) expect(get(say(hosts[0], { seq: 1 }))).toEqual([]);
    expect(signatures.checks).toBe(before);
    // At the edge of each it is taken.
    expect(kinds(get(say(hosts[0], { seq: 3, issuedAt: unixMs(NOON + 30_000) })))).toEqual(['deliver', 'relay']);
    expect(kinds(get(say(hosts[1], { seq: 3, issuedAt: unixMs(NOON - DAY_MS + 1), ttlS: 0xffff_ffff })))).toEqual(['deliver', 'relay']);
  });

  test('with a bad signature leaves no trace: the true one is still taken', () => {
    const { hosts, get, say, book } = scene(Object.assign(keyedHash()));
    const bytes = say(hosts[0], {});
    const forged = bytes.slice();
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(kinds(get(forged))).toEqual(['bad-signature']);
    expect(book.items).toBe(0);
    expect(kinds(get(bytes))).toEqual(['deliver', 'relay']);
  });

  test('of a revoked key is refused, and so is one whose certificate has ended', () => {
    const { hosts, get, say, roster, trusted, signatures } = scene();
    const { kid, notAfter } = hosts[0].certificate;
    expect(kinds(get(say(hosts[1], { issuedAt: notAfter }), { at: notAfter }))).toEqual(['expired-certificate']);
    const list = issueRevocations(
      { clusterId: CLUSTER, number: 1, entries: [{ kid, notAfter }] },
      { kid: rootKid, secret: trusted.rootSecret },
      signatures,
      NOON,
    );
    roster.learnRevocations(list, NOON);
    expect(kinds(get(say(hosts[0], {}), { at: NOON }))).toEqual(['revoked']);
  });

  test('with real Ed25519 goes the same way', () => {
    const { hosts, get, say } = scene(real as ReturnType<typeof keyedHash>);
    expect(kinds(get(say(hosts[0], {})))).toEqual(['deliver', 'relay']);
    const bent = say(hosts[0], { seq: 2 });
    bent[60] = (bent[60] ?? 0) ^ 4;
    expect(kinds(get(bent))).toEqual(['bad-signature']);
  });

  test('that says what nobody reads is refused once and not kept', () => {
    const { hosts, get, say, book } = scene();
    expect(kinds(get(say(hosts[0], {}, Uint8Array.of(9))))).toEqual(['malformed-body']);
    expect(get(say(hosts[0], {}, Uint8Array.of(9)))).toEqual([]);
    expect(book.items).toBe(0);
  });

  test('orders keys only from a registrar, who says nothing else', () => {
    const { hosts, get, say, trusted, signatures } = scene();
    const rekey = encodeRekey({
      generation: 1,
      useAt: NOON,
      dropOldAt: NOON,
      ephemeralPublic: new Uint8Array(32),
      sealed: [{ recipient: kidFromBytes(new Uint8Array(8)), bytes: new Uint8Array(48) }],
    });
    expect(kinds(get(say(hosts[0], { type: 'rekey' }, rekey)))).toEqual(['only-a-registrar']);
    const byRegistrar = (type: 'rekey' | 'intel', body: Uint8Array): Uint8Array =>
      sealEnvelope({ kid: trusted.registrar.kid, epoch: 1, seq: 1, issuedAt: NOON, ttlS: 60, type }, body, {
        clusterId: CLUSTER,
        secret: trusted.registrarSecret,
        signatures,
      });
    expect(kinds(get(byRegistrar('intel', aBody)))).toEqual(['not-a-registrar']);
    expect(kinds(get(byRegistrar('rekey', rekey)))).toEqual(['deliver', 'relay']);
  });
});

describe('how fast a peer may speak', () => {
  test('is judged on signed time, so that a backlog in any order looks as honest as it is', () => {
    const { hosts, get, say } = scene();
    const backlog = Array.from({ length: 60 }, (_, at) => say(hosts[0], { seq: at + 1, issuedAt: unixMs(NOON - 60_000 + at * 500) }));
    for (const bytes of backlog.toReversed()) expect(kinds(get(bytes, { path: 'repair' }))[0]).toBe('deliver');
  });

  test.each([
    ['451 ms apart', 451, ['deliver', 'relay']],
    ['450 ms apart', 450, ['deliver', 'relay']],
    ['449 ms apart', 449, ['misuse', 'too-fast']],
    ['at the same time', 0, ['misuse', 'too-fast']],
    ['back in time', -60_000, ['misuse', 'too-fast']],
  ])('allows a tenth of slack: %s', (_, apartMs, outcome) => {
    const { hosts, get, say } = scene();
    const first = say(hosts[0], { seq: 4, issuedAt: unixMs(NOON - 100_000) });
    const second = say(hosts[0], { seq: 9, issuedAt: unixMs(NOON - 100_000 + apartMs) });
    get(first);
    const all = get(second);
    expect(kinds(all)).toEqual(outcome);
    if (all[0]?.kind === 'misuse') expect(all[0].proof).toEqual([first, second]);
  });

  test('is not judged over epochs, nor between intel and goodbyes', () => {
    const { hosts, get, say } = scene();
    get(say(hosts[0], { seq: 1 }));
    expect(kinds(get(say(hosts[0], { seq: 2, type: 'leave' }, encodeLeave({ incarnation: 1 }))))).toEqual(['deliver', 'relay']);
    expect(kinds(get(say(hosts[0], { epoch: 2, seq: 1 })))).toEqual(['deliver', 'relay']);
  });

  test('is bounded on arrival too, without a mark: repair brings the rest later', () => {
    const { hosts, get, say } = scene();
    const all = Array.from({ length: 40 }, (_, at) => say(hosts[0], { seq: at + 1, issuedAt: unixMs(NOON - 30_000 + at * 500) }));
    const outcomes = all.map(bytes => kinds(get(bytes))[0]);
    expect(outcomes.filter(one => one === 'deliver')).toHaveLength(16);
    expect(outcomes.filter(one => one === 'too-many-at-once')).toHaveLength(24);
    // Another peer is heard meanwhile.
    expect(kinds(get(say(hosts[1], {})))).toEqual(['deliver', 'relay']);
    for (const bytes of all.slice(16)) expect(kinds(get(bytes, { path: 'repair' }))).toEqual(['deliver']);
  });

  test('gains nothing from epochs without end', () => {
    const { hosts, get, say, speakers } = scene();
    let heard = 0;
    for (let epoch = 1; epoch <= 500; epoch++) heard += targets(get(say(hosts[0], { epoch, seq: 1 }), { path: 'repair' })).length;
    expect(heard).toBe(16);
    for (let hour = 1; hour <= 20; hour++) {
      const at = unixMs(NOON + hour * HOUR_MS);
      for (let epoch = 1_000 * hour; epoch < 1_000 * hour + 20; epoch++) get(say(hosts[0], { epoch, seq: 1, issuedAt: at }), { path: 'repair', at });
    }
    expect(speakers.numbersOf(hosts[0].certificate.kid).length).toBeLessThanOrEqual(32);
    expect(kinds(get(say(hosts[0], { epoch: 3, seq: 7, issuedAt: unixMs(NOON + 20 * HOUR_MS) })))).toEqual(['old-epoch']);
  });

  test('one number with two contents convicts its signer; a forged second one only its bearer', () => {
    const { hosts, get, say } = scene();
    const first = say(hosts[0], {});
    const second = say(hosts[0], {}, intelBody({ advice: [advice('203.0.113.8/32')] }));
    get(first);
    expect(get(second)).toEqual([expect.objectContaining({ kind: 'misuse', why: 'two-contents', proof: [first, second] })]);
    const forged = first.slice();
    forged[50] = (forged[50] ?? 0) ^ 1;
    expect(kinds(get(forged))).toEqual(['bad-signature']);
  });

  test('whoever hands over forgeries is not listened to for a while, others are', () => {
    const signatures = keyedHash();
    const { hosts, get, say } = scene(signatures);
    const before = signatures.checks;
    for (let seq = 1; seq <= 10_000; seq++) {
      const forged = say(hosts[0], { seq });
      forged.fill(7, -64);
      get(forged, { hop: 'forger' });
    }
    expect(signatures.checks - before).toBe(32);
    expect(kinds(get(say(hosts[0], { seq: 77 }), { hop: 'forger' }))).toEqual(['hop-forges']);
    expect(kinds(get(say(hosts[0], { seq: 77 }), { hop: 'honest' }))).toEqual(['deliver', 'relay']);
    expect(kinds(get(say(hosts[0], { seq: 78, issuedAt: unixMs(NOON + 500) }), { hop: 'forger', at: NOON + 40_000 }))).toEqual(['deliver', 'relay']);
  });
});

describe('a withdrawal', () => {
  const two = intelBody({ advice: [advice('203.0.113.7/32'), advice('203.0.113.8/32')] });
  const back = (seq: number, ...which: string[]): Uint8Array => intelBody({ withdrawals: [{ epoch: 1, seq, asError: true, targets: which.map(prefix) }] });

  test('is delivered with the targets that it takes back, and what it leaves nothing of is not handed on', () => {
    const { hosts, get, say, book } = scene();
    get(say(hosts[0], { seq: 1 }, two));
    const one = get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 500) }, back(1, '203.0.113.7/32')));
    expect(one[0]).toMatchObject({ content: { withdrawals: [{ epoch: 1, seq: 1, asError: true, whole: false, targets: ['203.0.113.7/32'] }] } });
    expect(book.items).toBe(2);
    const rest = get(say(hosts[0], { seq: 3, issuedAt: unixMs(NOON + 1_000) }, back(1)));
    expect(rest[0]).toMatchObject({ content: { withdrawals: [{ epoch: 1, seq: 1, whole: true, targets: ['203.0.113.8/32'] }] } });
    expect(book.get(hosts[0].certificate.kid, 1, 1)).toBeNull();
  });

  test('that comes first voids the advice that comes after it', () => {
    const { hosts, get, say, book } = scene();
    get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 500) }, back(1, '203.0.113.7/32')));
    expect(targets(get(say(hosts[0], { seq: 1 }, two)))).toEqual(['203.0.113.8/32']);
    get(say(hosts[1], { seq: 2, issuedAt: unixMs(NOON + 500) }, back(1)));
    expect(get(say(hosts[1], { seq: 1 }, two))).toEqual([]);
    expect(book.get(hosts[1].certificate.kid, 1, 1)).toBeNull();
  });

  test('waits for its advice as long as that could hold', () => {
    const { hosts, get, say, tombstones } = scene();
    get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 500), ttlS: 1 }, back(1)));
    const at = NOON + DAY_MS - 1;
    tombstones.prune(unixMs(at));
    expect(get(say(hosts[0], { seq: 1, ttlS: DAY_MS / 1_000 }, two), { at })).toEqual([]);
    tombstones.prune(unixMs(NOON + DAY_MS + 500));
    expect(tombstones.size).toBe(0);
  });

  test('speaks for its own signer alone, and for what was said before', () => {
    const { hosts, get, say } = scene();
    get(say(hosts[1], { seq: 2, issuedAt: unixMs(NOON + 500) }, back(1)));
    expect(targets(get(say(hosts[0], { seq: 1 }, two)))).toHaveLength(2);
    expect(get(say(hosts[2], { seq: 2, issuedAt: unixMs(NOON - 5_000) }, back(3)))).toEqual([]);
    expect(targets(get(say(hosts[2], { seq: 3 }, two)))).toHaveLength(2);
  });

  test('lets the same be said anew', () => {
    const { hosts, get, say } = scene();
    get(say(hosts[0], { seq: 1 }, two));
    const anew = intelBody({ advice: [advice('203.0.113.7/32')], withdrawals: [{ epoch: 1, seq: 1, asError: false, targets: [] }] });
    const all = get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 500) }, anew));
    expect(targets(all)).toEqual(['203.0.113.7/32']);
    expect(all[0]).toMatchObject({ content: { withdrawals: [{ seq: 1 }] } });
  });

  test('holds for as long as the advice would, whatever is replayed', () => {
    const { hosts, get, say, book, speakers } = scene();
    const said = say(hosts[0], { seq: 1, ttlS: DAY_MS / 1_000 }, two);
    get(say(hosts[0], { seq: 2, issuedAt: unixMs(NOON + 500), ttlS: 1 }, back(1)));
    for (let hour = 0; hour < 48; hour++) {
      const at = unixMs(NOON + 1_000 + hour * HOUR_MS);
      book.prune(at);
      speakers.prune(at);
      expect(targets(get(said, { at }))).toEqual([]);
    }
  });
});

test('what has ended is let go of: book, numbers and all', () => {
  const { hosts, get, say, book, speakers } = scene();
  for (const host of hosts) get(say(host, {}));
  const later = unixMs(NOON + DAY_MS);
  book.prune(later);
  speakers.prune(later);
  expect([book.items, book.bytes, speakers.keys().length, book.nextEnd()]).toEqual([0, 0, 0, 'never']);
  expect(kinds(get(say(hosts[0], {}), { at: later }))).toEqual(['expired']);
});

test('a proof convinces whoever has the certificate, and only of what it shows', () => {
  const { hosts, say, signatures } = scene();
  const [first, second, third] = [say(hosts[0], { seq: 1 }), say(hosts[0], { seq: 2 }), say(hosts[0], { seq: 3, issuedAt: unixMs(NOON + 500) })];
  const verdict = (one: Uint8Array, other: Uint8Array, of = hosts[0]) => verdictOf([one, other], of.certificate, signatures);
  expect(verdict(first, second)).toBe('too-fast');
  expect(verdict(second, first)).toBe('too-fast');
  expect(verdict(first, say(hosts[0], { seq: 1 }, intelBody({ advice: [advice('203.0.113.8/32')] })))).toBe('two-contents');
  expect([verdict(first, third), verdict(first, first), verdict(first, second, hosts[1]), verdict(first, say(hosts[1], { seq: 2 }))]).toEqual([
    null,
    null,
    null,
    null,
  ]);
  const forged = second.slice();
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  expect([verdict(first, forged), verdict(first, Uint8Array.of(1))]).toEqual([null, null]);
});

test('secrets of one host sign for that host only', () => {
  const { hosts, get, signatures } = scene();
  const header = { kid: hosts[0].certificate.kid, epoch: 1, seq: 1, issuedAt: NOON, ttlS: 60, type: 'intel' as const };
  expect(kinds(get(sealEnvelope(header, aBody, { clusterId: CLUSTER, secret: secretOf('db2 ed'), signatures })))).toEqual(['bad-signature']);
});
