/** The scriptable node with an identity: the daemon's own member of the mesh (enforcer/mesh/host) in the place of the bare one. */
import { parsePrefix } from '@honeymesh/intel/address';
import { ADVISED_TIERS, type Advice, type AdvisedTier, isAdvisable } from '@honeymesh/intel/advisories';
import { LONGEST_LIFE_MS } from '@honeymesh/intel/envelope';
import { REASONS, type Reason } from '@honeymesh/intel/reasons';
import { unixMs } from '@honeymesh/intel/time';
import { startMeshHost } from '#enforcer/mesh/host/host.ts';
import type { MeshNode, NodeDeps } from '#enforcer/mesh/node/node.ts';
import { hostOf, textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import type { MeshView, MeshWord } from '#enforcer/mesh/port.ts';
import type { Endpoint } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import type { Keyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { durationMs, type PeerFlags } from './flags.ts';
import { nowMicros, type Say } from './report.ts';
import { createJudge } from './verdicts.ts';

export type SignedCommands = Readonly<Record<'intel' | 'withdraw', (args: readonly string[]) => object | Promise<object>>>;

export interface SignedPeer {
  readonly node: MeshNode;
  readonly keyring: Keyring;
  readonly commands: SignedCommands;
}

type Sent = Extract<MeshWord, { kind: 'sent' }>;
/** The bucket lets one envelope out in 500 ms; what does not fit one waits for the next. */
const SAID_WITHIN_MS = 10_000;
/** Who was a certified member a moment ago is taken for one. */
const CERTIFIED_FOR_MS = 1000;

/** Or why it cannot be started. */
export async function startSigned(
  flags: PeerFlags,
  advertise: Endpoint | null,
  deps: Pick<NodeDeps, 'onEvent' | 'onRefusal' | 'lookup' | 'letsOut' | 'wrap'>,
  { say, log }: { readonly say: Say; readonly log: (line: string) => void },
): Promise<SignedPeer | string> {
  const now = () => unixMs(Date.now());
  const judge = createJudge(say, now);
  const listeners = new Set<(sent: Sent) => void>();
  const certifiedUntilMs = new Map<string, number>();
  let view: () => MeshView = () => {
    throw new Error('not yet');
  };

  /** Without a certificate, or with signatures off, there is nobody to tell from others. */
  let signs = true;

  function onWord(word: MeshWord): void {
    switch (word.kind) {
      case 'heard':
        judge.hear(word.inputs, view());
        return;
      case 'sent':
        for (const listener of listeners) listener(word);
        return;
      case 'refused':
        say('refused', { counts: word.counts, sample: word.sample });
        return;
      case 'complaint':
        log(`${word.key}: ${word.why} (${word.fix})`);
        return;
      default:
        return;
    }
  }

  /** As HM1 takes messages from certified members only, so do these events: the key alone makes nobody one. A stream tells no port of its own. */
  function isOfCertified(event: Extract<MemberEvent, { kind: 'user' }>): boolean {
    const host = hostOf(event.from);
    const place = textOfEndpoint(event.from);
    // Each ban is heard eight times: to draw up all members each time was half of what hearing it cost.
    if (event.via === 'packet' && (certifiedUntilMs.get(place) ?? 0) > performance.now()) return true;
    const certified = view().peers.some(peer => peer.signed && (event.via === 'packet' ? peer.address === place : peer.address.startsWith(`${host}:`)));
    if (certified && event.via === 'packet') certifiedUntilMs.set(place, performance.now() + CERTIFIED_FOR_MS);
    return certified;
  }

  const [seedKey = null, ...moreKeys] = flags.keys;
  const started = await startMeshHost(
    {
      nodeName: flags.name,
      bind: flags.bind,
      port: flags.port,
      advertise: advertise === null ? null : { host: hostOf(advertise), port: advertise.port },
      join: flags.join,
      label: Buffer.from(flags.label).toString(),
      profile: flags.profile,
      signatures: flags.signatures,
      seedKey,
      directory: flags.identity ?? '',
    },
    {
      onWord,
      now,
      tuning: flags.tuning,
      versions: flags.versions,
      envelope: { compress: flags.compress, skipLabelCheck: flags.skipLabelCheck, verifyIncoming: flags.verifyIncoming, verifyOutgoing: flags.verifyOutgoing },
      ...deps,
      onEvent(event) {
        if (event.kind !== 'user' || !signs || isOfCertified(event)) deps.onEvent(event);
      },
    },
  );
  if (!started.ok) {
    judge.stop();
    return `${started.why}: ${started.fix}`;
  }
  const host = started.value;
  view = host.view;
  signs = host.view().self.signer !== null;
  // A kept keyring wins over the command line; further keys belong to the one that it begins with.
  if (seedKey !== null && Buffer.from(host.keyring.primary?.bytes ?? []).equals(seedKey)) for (const key of moreKeys) host.keyring.add(key);
  if (flags.meta.length > 0) host.node.tell({ kind: 'update-meta', meta: flags.meta });

  /** Resolves with the envelopes in which all of it was said. */
  function said(advice: readonly Advice[]): Promise<readonly Sent[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Sent[]>();
    const waiting = new Set<string>(advice.map(({ target }) => target));
    const sent: Sent[] = [];
    const end = (): void => {
      clearTimeout(timer);
      listeners.delete(listen);
    };
    const listen = (word: Sent): void => {
      if (!word.advice.some(({ target }) => waiting.delete(target))) return;
      for (const { target } of word.advice) waiting.delete(target);
      sent.push(word);
      if (waiting.size > 0) return;
      end();
      resolve(sent);
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error(`not said within ${SAID_WITHIN_MS} ms: ${[...waiting].slice(0, 5).join(', ')}`));
    }, SAID_WITHIN_MS);
    listeners.add(listen);
    return promise;
  }

  const signing = (): void => {
    if (host.view().self.signer === null) throw new Error('this node has no certificate: it signs nothing');
  };

  return {
    node: { ...host.node, leave: timeoutMs => host.leave(timeoutMs), stop: () => host.stop().finally(judge.stop) },
    keyring: host.keyring,
    commands: {
      async intel(args) {
        const advice = adviceFrom(args.join(' '));
        signing();
        const at = nowMicros();
        const whole = said(advice);
        host.advise(advice);
        const sent = await whole;
        return { at, epoch: sent[0]?.epoch, seq: sent[0]?.seq, ...(sent.length > 1 ? { seqs: sent.map(({ seq }) => seq) } : {}) };
      },
      withdraw([seq, how]) {
        if (!/^\d{1,15}$/.test(seq ?? '')) throw new Error('which SEQ of ours?');
        if (how !== undefined && how !== 'error') throw new Error('after SEQ comes "error" or nothing');
        signing();
        const at = nowMicros();
        if (!host.withdrawItem(Number(seq), how === 'error')) throw new Error(`nothing that holds was said as ${seq}`);
        return { at };
      },
    },
  };
}

const REASON_NAMES: ReadonlySet<string> = new Set(REASONS.map(({ name }) => name));
const isReason = (text: unknown): text is Reason => typeof text === 'string' && REASON_NAMES.has(text);
const isTier = (text: unknown): text is AdvisedTier => ADVISED_TIERS.some(tier => tier === text);

/** `{"targets": ["203.0.113.7", ...], "reasons": ["trap-touch"], "ttl": 600}`: ttl in seconds, or as Go writes it; `tier` E1 where it is absent. */
export function adviceFrom(text: string): readonly Advice[] {
  const { targets, reasons, ttl, tier = 'E1' } = fieldsOf(text);
  if (!Array.isArray(targets) || targets.length === 0) throw new Error('targets: a list of addresses or prefixes');
  if (!Array.isArray(reasons) || reasons.length === 0) throw new Error('reasons: a list of names, such as trap-touch');
  const known = reasons.filter(isReason);
  const unknown = reasons.find(reason => !isReason(reason));
  if (unknown !== undefined) throw new Error(`reasons: there is no ${JSON.stringify(unknown)}; there are ${[...REASON_NAMES].join(', ')}`);
  if (!isTier(tier)) throw new Error(`tier: ${ADVISED_TIERS.join(' or ')}; what can be spoofed is told to nobody`);
  const ttlS = typeof ttl === 'string' ? durationMs(ttl) / 1000 : ttl;
  if (typeof ttlS !== 'number' || !Number.isInteger(ttlS) || ttlS < 1 || ttlS > LONGEST_LIFE_MS / 1000) {
    throw new Error(`ttl: whole seconds, 1 to ${LONGEST_LIFE_MS / 1000}`);
  }
  return targets.map(each => {
    const target = typeof each === 'string' ? parsePrefix(each) : null;
    if (!target?.ok) throw new Error(`targets: ${JSON.stringify(each)} is no address or prefix`);
    if (!isAdvisable(target.value)) throw new Error(`targets: ${target.value} is wider than a /24 or a /48`);
    return { target: target.value, tier, reasons: known, ttlS };
  });
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw new Error('not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new Error('an object with targets, reasons and ttl');
  return fields as Readonly<Record<string, unknown>>;
}
