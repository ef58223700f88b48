/**
 * HM1 between the ledgers of the simulator of advice: real layers, signed by a keyed hash, without SWIM below. What they say is lost, doubled, delayed and
 * reordered, passed on, and in the end repaired by real exchanges. Who is in an attacker's hands has the keys only, and says what it will.
 */
import type { Advice } from '@honeymesh/intel/advisories';
import { decodeIntel } from '@honeymesh/intel/advisories';
import { expiryOf, type KeyId, openEnvelope, type Signatures } from '@honeymesh/intel/envelope';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Shared } from '#enforcer/ledger/advice/share.ts';
import type { LedgerInput } from '#enforcer/ledger/decisions.ts';
import { ledgerInputsOf } from '#enforcer/mesh/host/intel-inputs.ts';
import type { LayerOutput, SignedLayer } from '#enforcer/mesh/signed/signed-layer.ts';
import { type Host as Certified, keyedHash, layerOf, NOON, type Trust, trust } from '#test/support/hm1.ts';
import type { Timeline } from '#test/support/virtual-time.ts';

/** One host that speaks HM1 by the rules. */
export interface Voice {
  readonly name: string;
  readonly certified: Certified;
  readonly skewMs: number;
  layer: SignedLayer;
  epoch: number;
  /** What was sent to it and did not come, until it does. */
  readonly lacks: Set<string>;
}

/** What was really signed with a key, of one target. */
export interface Said {
  readonly signer: KeyId;
  readonly epoch: number;
  readonly sequence: number;
  readonly advice: Advice;
  readonly issuedAt: UnixMs;
  readonly expiresAt: UnixMs;
}

export interface MeshOptions {
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly names: readonly string[];
  readonly compromised: (name: string) => boolean;
  /** Sabotage: nothing is repaired; every signature is good. */
  readonly isRepaired: boolean;
  readonly signatures?: Signatures;
  readonly hear: (voice: Voice, inputs: readonly LedgerInput[]) => void;
}

export type AdviceMesh = ReturnType<typeof createAdviceMesh>;

const LOSS = 0.12;
const DOUBLED = 0.05;
/** A push/pull or two. */
const REPAIR_MS = 2 * MINUTE_MS;
const REPAIR_TRIES = 10;
/** What is due within this is waited for; the rest is done each hour. */
const SOON_MS = 2 * SECOND_MS;

export const siteOf = (name: string): string => name.slice(0, 1);
export const itemOf = (signer: string, epoch: number, sequence: number): string => `${signer} ${epoch}/${sequence}`;

const SITES = ['a', 'b', 'c', 'd', 'e', 'f'];
const TRUSTED = trust(keyedHash(), SITES);
const certificates = new Map<string, Certified>();

export function certifiedHost(name: string): Certified {
  const known = certificates.get(name) ?? TRUSTED.host(name, siteOf(name));
  certificates.set(name, known);
  return known;
}

export function createAdviceMesh(options: MeshOptions) {
  const { timeline, random, names, compromised, isRepaired, hear } = options;
  const trusted: Trust =
    options.signatures === undefined ? TRUSTED : { ...TRUSTED, signatures: options.signatures, roster: trust(options.signatures, SITES).roster };
  const below = (most: number): number => Math.floor(random() * most);
  const said = new Map<string, Said[]>();
  const takenBackAt = new Map<string, number>();
  const aired: Uint8Array[] = [];
  const counts = { lost: 0, doubled: 0, repaired: 0, misuses: 0, refused: 0 };

  const now = ({ skewMs }: { readonly skewMs: number }): UnixMs => unixMs(NOON + timeline.nowMs + skewMs);
  const voices = names.filter(name => !compromised(name)).map(create);
  const byName = new Map(voices.map(voice => [voice.name, voice]));

  function layerFor(voice: Pick<Voice, 'certified' | 'epoch' | 'skewMs'>): SignedLayer {
    const { layer } = layerOf(trusted, voice.certified, { lastEpoch: voice.epoch }, now(voice));
    // All were introduced to all when they joined.
    layer.learn(
      names.map(name => certifiedHost(name).certificate.bytes),
      [],
      'at the start',
      now(voice),
    );
    return layer;
  }

  function create(name: string): Voice {
    const base = { certified: certifiedHost(name), skewMs: below(30 * SECOND_MS) - 15 * SECOND_MS, epoch: 0 };
    return { name, ...base, layer: layerFor(base), epoch: 1, lacks: new Set() };
  }

  /** On the record: who has this key said this. */
  function record(payload: Uint8Array): void {
    const opened = openEnvelope(payload);
    const intel = opened.ok && opened.value.type === 'intel' ? decodeIntel(opened.value.body) : null;
    if (!opened.ok || !intel?.ok) return;
    const { kid, epoch, seq, issuedAt } = opened.value;
    const name = itemOf(kid, epoch, seq);
    const words = intel.value.advice.map((advice): Said => {
      const expiresAt = unixMs(Math.min(expiryOf(opened.value), issuedAt + advice.ttlS * SECOND_MS, issuedAt + DAY_MS));
      return { signer: kid, epoch, sequence: seq, advice, issuedAt, expiresAt };
    });
    said.set(name, [...(said.get(name) ?? []), ...words]);
    for (const back of intel.value.withdrawals)
      for (const target of back.targets) takenBackAt.set(`${itemOf(kid, back.epoch, back.seq)} ${target}`, timeline.nowMs);
  }

  function take(voice: Voice, outputs: readonly LayerOutput[]): void {
    const inputs: LedgerInput[] = [];
    for (const output of outputs) {
      inputs.push(...ledgerInputsOf(output));
      if (output.kind === 'broadcast' && output.push) {
        record(output.payload);
        air(output.payload, voice.name);
      } else if (output.kind === 'broadcast') {
        const to = voices[below(voices.length)];
        if (to !== undefined && to !== voice) timeline.at(timeline.nowMs + below(SOON_MS), () => receive(to, output.payload, voice.name));
      } else if (output.kind === 'send-reliable') {
        const to = byName.get(output.hop);
        if (to !== undefined) timeline.at(timeline.nowMs + 1, () => receive(to, output.payload, voice.name));
      } else if (output.kind === 'intel') voice.lacks.delete(itemOf(output.kid, output.epoch, output.seq));
      else if (output.kind === 'misuse') counts.misuses++;
      else if (output.kind === 'refused') counts.refused++;
    }
    if (inputs.length > 0) hear(voice, inputs);
    const next = voice.layer.nextDeadline();
    if (next === 'never' || next > now(voice) + SOON_MS) return;
    const { epoch } = voice;
    timeline.at(timeline.nowMs + Math.max(1, next - now(voice)), () => {
      if (voice.epoch === epoch) take(voice, voice.layer.tick(now(voice)));
    });
  }

  const receive = (voice: Voice, payload: Uint8Array, hop: string): void => take(voice, voice.layer.payload(payload, hop, now(voice)));

  /** To all others at once, or lost and repaired; sometimes twice. `reaches`: to whom at all. */
  function air(payload: Uint8Array, from: string, reaches: (voice: Voice) => boolean = () => true): void {
    aired.push(payload);
    const opened = openEnvelope(payload);
    for (const to of voices) {
      if (to.name === from || !reaches(to)) continue;
      if (random() < LOSS) {
        counts.lost++;
        if (opened.ok) lack(to, itemOf(opened.value.kid, opened.value.epoch, opened.value.seq));
      } else timeline.at(timeline.nowMs + 1 + below(SOON_MS), () => receive(to, payload, from));
      if (random() < DOUBLED) {
        counts.doubled++;
        timeline.at(timeline.nowMs + below(HOUR_MS), () => receive(to, payload, from));
      }
    }
  }

  function lack(voice: Voice, item: string): void {
    if (!isRepaired) return;
    voice.lacks.add(item);
    if (voice.lacks.size === 1) repairSoon(voice, REPAIR_TRIES);
  }

  function repairSoon(voice: Voice, tries: number): void {
    timeline.at(timeline.nowMs + REPAIR_MS / 2 + below(REPAIR_MS), () => {
      const other = voices[below(voices.length)];
      if (other !== undefined && other !== voice) exchange(voice, other);
      timeline.at(timeline.nowMs + SECOND_MS, () => {
        if (voice.lacks.size > 0 && tries > 1) repairSoon(voice, tries - 1);
        else voice.lacks.clear();
      });
    });
  }

  /** A push/pull, as core and layer do it. */
  function exchange(asker: Voice, asked: Voice): void {
    counts.repaired++;
    const question = asker.layer.localState(false, now(asker));
    const heard = asked.layer.merge(question, asker.name, now(asked), true);
    const answer = asked.layer.localState(false, now(asked), question);
    take(asked, heard);
    take(asker, asker.layer.merge(answer, asked.name, now(asker)));
  }

  return {
    voices,
    trusted,
    said,
    takenBackAt,
    aired,
    counts,
    now,
    record,
    air,
    receive,
    share(voice: Voice, shared: Shared): void {
      const at = now(voice);
      const ttlS = shared.kind === 'withdraw' ? 0 : Math.ceil((Math.min(shared.expiresAt, at + DAY_MS) - at) / SECOND_MS);
      if (shared.kind === 'withdraw') take(voice, voice.layer.withdraw([shared.target], shared.asError, at));
      else if (ttlS >= 1) take(voice, voice.layer.advise([{ target: shared.target, tier: shared.tier, reasons: shared.reasons, ttlS }], at));
    },
    hourly: (voice: Voice): void => take(voice, voice.layer.tick(now(voice))),
    /** From its disk; then somebody brings it what else there is. */
    restart(voice: Voice): void {
      const kept = voice.layer.kept();
      voice.layer = layerFor(voice);
      voice.epoch++;
      take(voice, voice.layer.restore(kept, now(voice)));
      const other = voices[below(voices.length)];
      if (other !== undefined && other !== voice) exchange(voice, other);
    },
  };
}
