import { encodeIntel, type Intel } from '@honeymesh/intel/advisories';
import { type KeyId, sealEnvelope } from '@honeymesh/intel/envelope';
import { decodeAdvisory, encodeAdvisory, type SignedAdvisory, withSignature } from '@honeymesh/intel/hub-advisory';
import { DAY_MS, HOUR_MS, unixMs } from '@honeymesh/intel/time';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LedgerInput } from '#enforcer/ledger/decisions.ts';
import { issueNodeCertificate, issueRegistrarCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, sha256, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createRoster, ROSTER_LIMITS } from '#enforcer/mesh/signed/roster.ts';
import { createJudge, type Judge } from '#enforcer/relay/judge.ts';
import { createPump, INPUTS_AT_ONCE } from '#enforcer/relay/pump.ts';
import { prefix } from '#test/support/hm1.ts';

const signatures = createEd25519();
const now = unixMs(1_800_000_000_000);
const clusterId = new Uint8Array(16).fill(7);
const secretOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(name));
const kidOwn = '0123456789abcdef' as KeyId;

function authority(root: string) {
  const life = { notBefore: unixMs(now - HOUR_MS), notAfter: unixMs(now + DAY_MS) };
  const secret = secretOf(`${root} registrar`);
  const registrar = issueRegistrarCertificate({ clusterId, sites: ['home', 'lab'], edPublic: edPublicOf(secret), ...life }, secretOf(root), signatures);
  return {
    registrar,
    host(nodeName: string, site: string) {
      const edSecret = secretOf(`${root} ${nodeName}`);
      const keys = { edPublic: edPublicOf(edSecret), xPublic: xPublicOf(edSecret) };
      const certificate = issueNodeCertificate({ clusterId, nodeName, site, ...keys, ...life }, { kid: registrar.kid, secret }, signatures);
      let seq = 0;
      return {
        certificate,
        say: (intel: Partial<Intel>, { ttlS = 3_600, by = edSecret, issuedAt = now }: { ttlS?: number; by?: Uint8Array; issuedAt?: number } = {}) => {
          const header = { kid: certificate.kid, epoch: 3, seq: ++seq, issuedAt: unixMs(issuedAt), ttlS, type: 'intel' as const };
          return sealEnvelope(header, encodeIntel({ advice: [], withdrawals: [], ...intel }), { clusterId, secret: by, signatures });
        },
      };
    },
  };
}

const advise = (target: string, ttlS = 3_600) => ({ advice: [{ target: prefix(target), tier: 'E2' as const, reasons: ['exploit' as const], ttlS }] });
const ours = authority('root');
const theirs = authority('a root of somebody else');
let judge: Judge;

beforeEach(() => {
  const roster = createRoster({ clusterId, rootPublic: edPublicOf(secretOf('root')), ...ROSTER_LIMITS }, { signatures });
  judge = createJudge({ clusterId, kid: kidOwn }, { roster, signatures });
});

describe('whose word counts', () => {
  test('a host that is certified under our root speaks for itself', () => {
    const host = ours.host('alice', 'home');
    judge.learn([ours.registrar.bytes, host.certificate.bytes], now);
    const { inputs } = judge.judge(host.say(advise('203.0.113.7/32')), now);
    expect(inputs).toMatchObject([
      { kind: 'advice', advice: { signer: host.certificate.kid, certified: true, site: 'home', path: 'hub', epoch: 3, sequence: 1 } },
    ]);
  });

  test("hosts of another root, however many, are the hub's one voice", () => {
    const hosts = ['x', 'y', 'z'].map(name => theirs.host(name, 'lab'));
    judge.learn([theirs.registrar.bytes, ...hosts.map(({ certificate }) => certificate.bytes)], now);
    for (const host of hosts) {
      const { inputs } = judge.judge(host.say(advise('203.0.113.7/32')), now);
      expect(inputs).toMatchObject([{ kind: 'advice', advice: { certified: false, site: null, path: 'hub' } }]);
    }
  });

  test('what a certified host did not sign is not taken, and does not stand in the way of what it signs', () => {
    const host = ours.host('alice', 'home');
    judge.learn([ours.registrar.bytes, host.certificate.bytes], now);
    const twin = ours.host('alice', 'home');
    expect(judge.judge(host.say(advise('203.0.113.7/32'), { by: secretOf('thief') }), now)).toEqual({ inputs: [], refused: 'bad-signature' });
    expect(judge.judge(twin.say(advise('203.0.113.8/32')), now).inputs).toHaveLength(1);
  });

  test('the same envelope twice costs nothing and says nothing', () => {
    const host = ours.host('alice', 'home');
    judge.learn([ours.registrar.bytes, host.certificate.bytes], now);
    const bytes = host.say(advise('203.0.113.7/32'));
    expect(judge.judge(bytes, now).inputs).toHaveLength(1);
    expect(judge.judge(bytes, now)).toEqual({ inputs: [], refused: null });
  });

  test('nothing holds longer than a day from when it was signed, nor is taken when it is over', () => {
    const host = ours.host('alice', 'home');
    judge.learn([ours.registrar.bytes, host.certificate.bytes], now);
    const [input] = judge.judge(host.say(advise('203.0.113.7/32', 10 * 365 * 86_400), { ttlS: 4_000_000_000 }), now).inputs;
    expect(input).toMatchObject({ kind: 'advice', advice: { expiresAt: now + DAY_MS } });
    expect(judge.judge(host.say(advise('203.0.113.8/32'), { issuedAt: now - 2 * HOUR_MS }), now)).toEqual({ inputs: [], refused: 'expired' });
  });

  test('a withdrawal comes before the advice beside it', () => {
    const host = ours.host('alice', 'home');
    judge.learn([ours.registrar.bytes, host.certificate.bytes], now);
    const { inputs } = judge.judge(host.say({ ...advise('203.0.113.7/32'), withdrawals: [{ epoch: 2, seq: 9, asError: true, targets: [] }] }), now);
    expect(inputs).toMatchObject([{ kind: 'withdrawal', withdrawal: { epoch: 2, sequence: 9, target: null, asError: true } }, { kind: 'advice' }]);
  });

  test('our own words are no news, and rubbish is a reason', () => {
    const roster = createRoster({ clusterId, rootPublic: edPublicOf(secretOf('root')), ...ROSTER_LIMITS }, { signatures });
    const host = ours.host('alice', 'home');
    const own = createJudge({ clusterId, kid: host.certificate.kid }, { roster, signatures });
    expect(own.judge(host.say(advise('203.0.113.7/32')), now)).toEqual({ inputs: [], refused: null });
    for (const bytes of [new Uint8Array(), new Uint8Array(3_000), new TextEncoder().encode('HM1 nothing')])
      expect(judge.judge(bytes, now).refused).not.toBeNull();
  });
});

describe('on the way to the daemon', () => {
  const parcel = (envelopes: readonly Uint8Array[], certificates: readonly Uint8Array[]): SignedAdvisory => {
    const read = decodeAdvisory(
      withSignature(
        encodeAdvisory({ kind: 'digest', overBudget: false, epoch: 1, number: 1, head: 1, issuedAt: now, certificates, envelopes }),
        new Uint8Array(1),
      ),
    );
    if (!read.ok) throw new Error(read.why);
    return read.value;
  };

  test('it goes in batches as they are taken, and its number is kept only when all of it was', async () => {
    const host = ours.host('alice', 'home');
    const handed: (readonly LedgerInput[])[] = [];
    const kept: number[] = [];
    const pump = createPump(judge, { hand: inputs => handed.push(inputs), refused: () => {}, keepHead: ({ number }) => kept.push(number), now: () => now });
    const envelopes = Array.from({ length: 10 }, (_, at) =>
      host.say({ advice: Array.from({ length: 60 }, (_, one) => advise(`203.0.${at}.${one}/32`).advice[0] as never) }),
    );
    pump.add(parcel(envelopes, [ours.registrar.bytes, host.certificate.bytes]), { epoch: 1, number: 1 });
    const settle = () => new Promise(resolve => setTimeout(resolve, 20));
    await settle();
    expect(handed).toHaveLength(2);
    // 600 in batches of at most 128 of each 64 envelopes: five, of which the last is not taken yet.
    for (let taken = 1; taken <= 4; taken++) {
      pump.took();
      await settle();
      expect(kept).toEqual([]);
    }
    pump.took();
    await settle();
    expect(kept).toEqual([1]);
    expect(handed.flat()).toHaveLength(600);
    expect(handed.every(batch => batch.length <= INPUTS_AT_ONCE)).toBe(true);
  });
});
