/** What hosts in an attacker's hands say: they have their keys and certificates, and keep no rule. */
import { type Address, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { type Advice, decodeIntel, encodeIntel, type Withdrawal } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, openEnvelope } from '@honeymesh/intel/envelope';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { type AdviceMesh, certifiedHost, type Voice } from '#test/support/advice-mesh.ts';
import { NOON, signedBy } from '#test/support/hm1.ts';
import type { Timeline } from '#test/support/virtual-time.ts';

export const VILLAINIES = [
  're-issue',
  'poison',
  'wide',
  'flood',
  'take back',
  'replay',
  'two faces',
  'forged origin',
  'too fast',
  'echo',
  'malformed',
] as const;
export type Villainy = (typeof VILLAINIES)[number];

export interface VillainOptions {
  readonly mesh: AdviceMesh;
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly evil: readonly string[];
  readonly victims: readonly Address[];
  /** Who must never be touched: what they would like best. */
  readonly prey: readonly Prefix[];
}

const WIDE = ['198.51.100.0/24', '198.51.100.2/31', '198.51.100.0/29', '203.0.113.0/24', '192.0.2.0/24'] as Prefix[];

const V4_FLOOD = ['203.0.115.0/24', '203.0.116.0/24'] as Prefix[];
const V6_FLOOD = ['2001:db8:bad:100::/56', '2001:db8:bad:200::/56', '2001:db8:bad:300::7/128'] as Prefix[];

export function createVillains({ mesh, timeline, random, evil, victims, prey }: VillainOptions): (what: Villainy) => void {
  const below = (most: number): number => Math.floor(random() * most);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const numbers = new Map<string, number>();
  const words: { readonly by: string; readonly seq: number; readonly target: Prefix }[] = [];

  const advice = (target: Prefix, more: Partial<Advice> = {}): Advice => ({ target, tier: 'E1', reasons: ['trap-touch'], ttlS: 4 * 3_600, ...more });

  function next(by: string): number {
    const seq = (numbers.get(by) ?? 0) + 1;
    numbers.set(by, seq);
    return seq;
  }

  function sign(
    by: string,
    intel: { readonly advice?: readonly Advice[]; readonly withdrawals?: readonly Withdrawal[] },
    header: Partial<EnvelopeHeader> = {},
  ): Uint8Array {
    const seq = header.seq ?? next(by);
    const body = encodeIntel({ advice: intel.advice ?? [], withdrawals: intel.withdrawals ?? [] });
    const payload = signedBy(certifiedHost(by), body, mesh.trusted.signatures, { issuedAt: unixMs(NOON + timeline.nowMs), ttlS: 30 * 86_400, ...header, seq });
    mesh.record(payload);
    for (const one of intel.advice ?? []) words.push({ by, seq, target: one.target });
    return payload;
  }

  const say = (by: string, said: readonly Advice[], header: Partial<EnvelopeHeader> = {}): void => mesh.air(sign(by, { advice: said }, header), by);

  const deeds: Readonly<Record<Villainy, () => void>> = {
    /** For ever, and all together. */
    're-issue'() {
      const target = hostPrefix(pick(victims));
      for (const by of evil) say(by, [advice(target, random() < 0.3 ? { ttlS: 60 * 86_400 } : {})]);
    },
    poison() {
      const issuedAt = unixMs(NOON + timeline.nowMs - (random() < 0.7 ? below(DAY_MS) : -below(random() < 0.5 ? 25 * SECOND_MS : HOUR_MS)));
      say(pick(evil), [advice(pick([...prey, ...victims.map(hostPrefix)]), { tier: 'E2', ttlS: 30 * 86_400 })], { issuedAt });
    },
    wide: () => say(pick(evil), [advice(pick(WIDE))]),
    flood() {
      const many = Array.from({ length: 12 }, (_, nth) => advice(`203.0.114.${(below(8) * 32 + nth) % 256}/32` as Prefix));
      say(pick(evil), [...many, ...[...V4_FLOOD, ...V6_FLOOD].map(target => advice(target))]);
    },
    'take back'() {
      const word = words.length === 0 ? undefined : pick(words.slice(-40));
      if (word === undefined) return;
      const whole = random() < 0.3;
      const withdrawal = { epoch: 1, seq: word.seq, asError: random() < 0.5, targets: whole ? [] : [word.target] };
      mesh.air(sign(word.by, { withdrawals: [withdrawal] }), word.by);
    },
    replay() {
      for (const to of mesh.voices) for (let nth = 0; nth < 4 && mesh.aired.length > 0; nth++) mesh.receive(to, pick(mesh.aired), pick(evil));
    },
    'two faces'() {
      const by = pick(evil);
      const seq = next(by);
      const [one, other] = [hostPrefix(pick(victims)), '203.0.117.7/32' as Prefix].map(target => sign(by, { advice: [advice(target)] }, { seq })) as [
        Uint8Array,
        Uint8Array,
      ];
      const saw = new Set(mesh.voices.filter(() => random() < 0.5));
      mesh.air(one, by, voice => saw.has(voice));
      mesh.air(other, by, voice => !saw.has(voice));
    },
    /** An honest host's name under what it never said. */
    'forged origin'() {
      const by = pick(evil);
      const victim = pick(mesh.voices) as Voice;
      const body = encodeIntel({ advice: [advice(hostPrefix(pick(victims)))], withdrawals: [] });
      const header = { kid: victim.certified.certificate.kid, epoch: victim.epoch, seq: 1 + below(50), issuedAt: unixMs(NOON + timeline.nowMs) };
      const payload = signedBy(certifiedHost(by), body, mesh.trusted.signatures, header);
      for (const to of mesh.voices) if (to !== victim) mesh.receive(to, payload, by);
    },
    'too fast'() {
      const by = pick(evil);
      for (let nth = 0; nth < 3; nth++) say(by, [advice(`203.0.117.${below(250)}/32` as Prefix)]);
    },
    /** As its own word, what others said. */
    echo() {
      const opened = mesh.aired.length === 0 ? null : openEnvelope(pick(mesh.aired.slice(-60)));
      const intel = opened?.ok === true && opened.value.type === 'intel' ? decodeIntel(opened.value.body) : null;
      if (intel?.ok === true && intel.value.advice.length > 0) say(pick(evil), intel.value.advice.slice(0, 20));
    },
    /** A prefix that nobody may name, and bytes that are none. */
    malformed() {
      const by = pick(evil);
      const body = encodeIntel({ advice: [advice('203.0.113.0/24' as Prefix)], withdrawals: [] });
      body[below(body.length)] = below(256);
      body[1] = random() < 0.5 ? 8 : (body[1] ?? 0);
      const header = { seq: next(by), issuedAt: unixMs(NOON + timeline.nowMs - below(MINUTE_MS)) };
      const payload = signedBy(certifiedHost(by), body, mesh.trusted.signatures, header);
      mesh.record(payload); // it may be well-formed by chance
      mesh.air(payload, by);
    },
  };
  return what => deeds[what]();
}
