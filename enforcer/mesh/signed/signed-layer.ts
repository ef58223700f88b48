/**
 * HM1 as one machine beside memberlist's core: user payloads, push/pull state and hooks in, things to do out. No sockets, timers or randomness: whoever
 * drives the core drives this, the simulator as well as the daemon.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { Advice } from '@honeymesh/intel/advisories';
import { expiryOf, isEnvelope, type KeyId, type Signatures } from '@honeymesh/intel/envelope';
import { type Accusation, accusationBytes, encodeAccusations, encodeLeave, MOST_ACCUSATIONS, type Rekey } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { createAccusations } from './accusations.ts';
import { type AntiEntropyLimits, createAntiEntropy } from './anti-entropy.ts';
import { type NodeCertificate, type RegistrarCertificate, readCertificate } from './certificates.ts';
import { type Claims, createClaims, type SignatureMode } from './claims.ts';
import { decodeExchange, isExchange } from './exchange-format.ts';
import { createInbox } from './inbox.ts';
import { createKeySchedule, type KeyStep } from './key-schedule.ts';
import { type BookLimits, createLiveBook } from './live-book.ts';
import { signMeta } from './meta.ts';
import type { Misuse } from './misuse.ts';
import { type Arrival, type Content, createReceiver, type EnvelopeRefusal, RECEIVER_LIMITS, type Received } from './receiver.ts';
import { readRevocations } from './revocations.ts';
import type { Roster, RosterFailure } from './roster.ts';
import { openGroupKey } from './sealed-keys.ts';
import { createSender, SENDER_LIMITS, type Sent } from './sender.ts';
import { createSpeakers } from './speakers.ts';
import { createTombstones } from './tombstones.ts';

export interface SignedLayerOptions {
  readonly mode: Exclude<SignatureMode, 'off'>;
  readonly clusterId: Uint8Array;
  readonly identity: { readonly certificate: NodeCertificate; readonly edSecret: Uint8Array; readonly xSecret: Uint8Array };
  /** As `alive` will say it: 4 or 16 bytes. */
  readonly advertise: { readonly address: Uint8Array; readonly port: number };
  readonly lastEpoch: number;
  readonly longestEnvelopeBytes: number;
  /** The keyring as it is, primary first. */
  readonly keys: readonly Uint8Array[];
  readonly keyGeneration: number;
  readonly accusers: number;
  readonly book: BookLimits;
  readonly antiEntropy: AntiEntropyLimits;
}

export type LayerOutput =
  | { readonly kind: 'broadcast'; readonly payload: Uint8Array /** Our own: at once to all. */; readonly push: boolean }
  | { readonly kind: 'send-reliable'; readonly hop: string; readonly payload: Uint8Array }
  | { readonly kind: 'persist-epoch'; readonly epoch: number }
  /** What a peer advises or takes back. Withdrawals first: one envelope may take back what another said and say it anew. */
  | ({ readonly kind: 'intel'; readonly kid: KeyId; readonly epoch: number; readonly seq: number; readonly issuedAt: UnixMs; readonly endsAt: UnixMs } & {
      readonly signer: NodeCertificate;
      readonly own: boolean;
    } & Omit<Extract<Content, { type: 'intel' }>, 'type'>)
  /** Its owner says goodbye: to the core as a `dead` of itself. */
  | { readonly kind: 'left'; readonly node: string; readonly incarnation: number }
  | KeyStep
  | { readonly kind: 'revoked'; readonly kid: KeyId; readonly node: string | null }
  /** Our advice that left the tray: what was said, under which number. */
  | {
      readonly kind: 'said';
      readonly epoch: number;
      readonly seq: number;
      readonly advice: readonly Advice[];
      readonly withdrawals: number;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'dropped'; readonly advice: readonly Advice[] }
  | {
      readonly kind: 'misuse';
      readonly why: Misuse;
      readonly signer: NodeCertificate | RegistrarCertificate;
      readonly proof: readonly [Uint8Array, Uint8Array];
    }
  /** Somebody else signs with our key, or our persisted epoch was lost. */
  | { readonly kind: 'own-key-elsewhere'; readonly epoch: number; readonly seq: number }
  | {
      readonly kind: 'refused';
      readonly why: EnvelopeRefusal | RosterFailure | 'not-hm1' | 'malformed-exchange' | 'malformed-certificate' | 'inbox-full';
      readonly kid: KeyId | null;
      readonly hop: string;
    };

export interface SignedLayer {
  readonly claims: Claims;
  /** In which we speak. */
  readonly epoch: number;
  start(now: UnixMs): readonly LayerOutput[];
  persisted(epoch: number, now: UnixMs): readonly LayerOutput[];
  /** A user message from the wire, over datagram or stream. */
  payload(bytes: Uint8Array, hop: string, now: UnixMs): readonly LayerOutput[];
  /** The other side's user state of a push/pull. `answered`: `localState` was asked with it, or will be. */
  merge(userState: Uint8Array, hop: string, now: UnixMs, answered?: boolean): readonly LayerOutput[];
  /** `asked`: the other side's state, where it dialled: what it lacks goes along. */
  localState(join: boolean, now: UnixMs, asked?: Uint8Array): Uint8Array;
  /** As `localState`, to somebody of whom it is not known whether it is certified. */
  introduction(): Uint8Array;
  /** Certificates and lists by another way than the mesh: what was refused comes back. */
  learn(certificates: readonly Uint8Array[], revocations: readonly Uint8Array[], hop: string, now: UnixMs): readonly LayerOutput[];
  /** Group keys by another way than the mesh, primary first: those of a generation that is not newer than ours change nothing. */
  adoptKeys(keys: readonly Uint8Array[], generation: number): readonly KeyStep[];
  meta(incarnation: number, extra: Uint8Array): Uint8Array;
  /** The certificate renewed, for the same key; false: it does not hold. Announce meta anew after it. */
  renew(certificate: NodeCertificate, now: UnixMs): boolean;
  advise(advice: readonly Advice[], now: UnixMs): readonly LayerOutput[];
  /** `asError`: it was wrong, not only over. */
  withdraw(targets: readonly Prefix[], asError: boolean, now: UnixMs): readonly LayerOutput[];
  withdrawItem(epoch: number, seq: number, asError: boolean, now: UnixMs): readonly LayerOutput[] | false;
  accuse(accusations: readonly Accusation[], now: UnixMs): readonly LayerOutput[];
  leave(incarnation: number, now: UnixMs): readonly LayerOutput[];
  /** What holds now, to be written down: with it back after a restart, nothing that was withdrawn can be replayed. */
  kept(): readonly Uint8Array[];
  /** How long these are together. */
  readonly keptBytes: number;
  /** Envelopes of repair, and of `restore`, that are not judged yet. */
  readonly waiting: number;
  /** What `kept` gave before a restart, as much as the inbox holds; checked like anybody's words, a few at each tick. */
  restore(kept: readonly Uint8Array[], now: UnixMs): readonly LayerOutput[];
  tick(now: UnixMs): readonly LayerOutput[];
  nextDeadline(): UnixMs | 'never';
}

const ACCUSATION_TTL_S = 60;
const LEAVE_TTL_S = DAY_MS / SECOND_MS;
export const REKEY_TTL_S = DAY_MS / SECOND_MS;
const PRUNE_EVERY_MS = MINUTE_MS;

export function createSignedLayer(
  options: SignedLayerOptions,
  { roster, signatures }: { readonly roster: Roster; readonly signatures: Signatures },
): SignedLayer {
  const { clusterId, identity } = options;
  const { kid } = identity.certificate;
  let certificate = identity.certificate;
  const book = createLiveBook(options.book);
  const speakers = createSpeakers();
  const tombstones = createTombstones();
  const accusations = createAccusations();
  const receiver = createReceiver({ clusterId, ...RECEIVER_LIMITS }, { roster, book, speakers, tombstones, signatures });
  const antiEntropy = createAntiEntropy(options.antiEntropy, { roster, book, speakers });
  const claims = createClaims({ mode: options.mode, clusterId, accusers: options.accusers }, { roster, accusations, signatures });
  const longestBytes = options.longestEnvelopeBytes;
  const sender = createSender({ clusterId, kid, secret: identity.edSecret, lastEpoch: options.lastEpoch, ...SENDER_LIMITS, longestBytes }, { signatures });
  const schedule = createKeySchedule({ keys: options.keys, generation: options.keyGeneration });
  const inbox = createInbox();
  let pruneAt: UnixMs | 'never' = 'never';

  function sent(outputs: readonly Sent[], now: UnixMs): LayerOutput[] {
    return outputs.flatMap((output): readonly LayerOutput[] => {
      if (output.kind !== 'say') return [output];
      receiver.keepOwn(output.payload, now);
      const broadcast: LayerOutput = { kind: 'broadcast', payload: output.payload, push: true };
      if (output.intel === null) return [broadcast];
      const { advice, withdrawals } = output.intel;
      return [broadcast, { kind: 'said', epoch: output.epoch, seq: output.seq, advice, withdrawals: withdrawals.length, payload: output.payload }];
    });
  }

  function delivered({ header, signer, content }: Extract<Received, { kind: 'deliver' }>, now: UnixMs): readonly LayerOutput[] {
    const { epoch, seq, issuedAt } = header;
    const own = header.kid === kid;
    // Numbers of this run that we did not give: not ours.
    if (own && epoch > options.lastEpoch) return [{ kind: 'own-key-elsewhere', epoch, seq }];
    if (signer.kind === 'registrar') return content.type === 'rekey' ? rekeyed(content, header.kid, now) : [];
    switch (content.type) {
      case 'intel': {
        if (own) sender.recall(header, content.advice, now);
        const { advice, withdrawals } = content;
        return [{ kind: 'intel', kid: header.kid, epoch, seq, issuedAt, endsAt: expiryOf(header), signer, own, advice, withdrawals }];
      }
      case 'accusation': {
        // Whatever life its signer gives it: who has been found to answer since must not be held to old charges.
        const until = unixMs(Math.min(expiryOf(header), issuedAt + 2 * ACCUSATION_TTL_S * SECOND_MS));
        for (const accusation of content.accusations) accusations.accuse(signer.nodeName, accusation, until);
        return [];
      }
      case 'leave':
        accusations.left(signer.nodeName, content.incarnation, expiryOf(header));
        return own ? [] : [{ kind: 'left', node: signer.nodeName, incarnation: content.incarnation }];
      case 'rekey':
        return [];
    }
  }

  function rekeyed(rekey: Rekey, issuer: KeyId, now: UnixMs): readonly LayerOutput[] {
    const group = openGroupKey(rekey, { kid, xSecret: identity.xSecret }, { clusterId, issuer });
    if (group === null) return [];
    const steps = schedule.order(group, now);
    return steps === 'stale' ? [] : steps;
  }

  function received(bytes: Uint8Array, arrival: Arrival, now: UnixMs): readonly LayerOutput[] {
    return receiver.receive(bytes, arrival, now).flatMap((output): readonly LayerOutput[] => {
      if (output.kind === 'deliver') return delivered(output, now);
      return output.kind === 'relay' ? [{ kind: 'broadcast', payload: output.payload, push: false }] : [output];
    });
  }

  /** Trust at once, for the rest hangs on it; envelopes a few at a time, for each costs a signature check. */
  function exchanged(bytes: Uint8Array, hop: string, mayAnswer: boolean, now: UnixMs): readonly LayerOutput[] {
    const decoded = decodeExchange(bytes);
    if (!decoded.ok) return [{ kind: 'refused', why: 'malformed-exchange', kid: null, hop }];
    const { certificates, revocations, envelopes } = decoded.value;
    const outputs: LayerOutput[] = [...learn(certificates, hop, now), ...learnRevocations(revocations, hop, now)];
    for (const envelope of envelopes) {
      if (inbox.add(envelope, hop)) continue;
      outputs.push({ kind: 'refused', why: 'inbox-full', kid: null, hop });
      break;
    }
    const answer = mayAnswer ? antiEntropy.answer(decoded.value, now) : null;
    if (answer !== null) outputs.push({ kind: 'send-reliable', hop, payload: answer });
    return [...outputs, ...fromInbox(now)];
  }

  function learn(certificates: readonly Uint8Array[], hop: string, now: UnixMs): readonly LayerOutput[] {
    const read = certificates.slice(0, MOST_CERTIFICATES).map(readCertificate);
    const good = read.filter(one => one.ok).map(one => one.value);
    // Registrars first: the hosts' certificates hang on theirs.
    const ordered = [...good.filter(one => one.kind === 'registrar'), ...good.filter(one => one.kind === 'node')];
    let forged = 0;
    return ordered.flatMap((one): readonly LayerOutput[] => {
      if (forged >= MOST_FORGED) return [];
      const learnt = roster.learn(one, now);
      // Each costs a check: whoever hands over so many has no others.
      if (!learnt.ok && learnt.why === 'bad-signature') forged++;
      return learnt.ok || learnt.why === 'stale' ? [] : [{ kind: 'refused', why: learnt.why, kid: one.kid, hop }];
    });
  }

  function learnRevocations(lists: readonly Uint8Array[], hop: string, now: UnixMs): readonly LayerOutput[] {
    return lists.slice(0, MOST_LISTS).flatMap((bytes): readonly LayerOutput[] => {
      const read = readRevocations(bytes);
      if (!read.ok) return [{ kind: 'refused', why: 'malformed-exchange', kid: null, hop }];
      const before = new Map(roster.nodes(now).map(node => [node.kid, node.nodeName]));
      const learnt = roster.learnRevocations(read.value, now);
      if (!learnt.ok) return learnt.why === 'stale' ? [] : [{ kind: 'refused', why: learnt.why, kid: read.value.issuer, hop }];
      for (const node of roster.nodes(now)) before.delete(node.kid);
      // Their words hold no more, and are not handed on.
      for (const gone of [...before.keys(), ...learnt.value.entries.map(entry => entry.kid)]) book.forget(gone);
      return [...before].map(([gone, node]) => ({ kind: 'revoked', kid: gone, node }));
    });
  }

  function fromInbox(now: UnixMs): readonly LayerOutput[] {
    return inbox.take(now).flatMap(({ bytes, hop }) => received(bytes, { path: 'repair', hop }, now));
  }

  function prune(now: UnixMs): void {
    if (pruneAt !== 'never' && pruneAt > now) return;
    pruneAt = unixMs(now + PRUNE_EVERY_MS);
    roster.prune(now);
    book.prune(now);
    speakers.prune(now);
    tombstones.prune(now);
    accusations.prune(now);
    claims.prune();
  }

  return {
    claims,
    get epoch() {
      return sender.epoch;
    },
    start(now) {
      // Ours goes along with our words in repair, to whom our meta did not reach.
      roster.learn(certificate, now);
      prune(now);
      return sent(sender.start(), now);
    },
    persisted: (epoch, now) => sent(sender.persisted(epoch, now), now),
    payload(bytes, hop, now) {
      if (isEnvelope(bytes)) return received(bytes, { path: 'live', hop }, now);
      // A question counts in a push/pull only: asked by a datagram, whose source may be forged, the answer would be aimed at somebody else.
      return isExchange(bytes) ? exchanged(bytes, hop, false, now) : [{ kind: 'refused', why: 'not-hm1', kid: null, hop }];
    },
    // Go nodes and empty states say nothing of ours: no fault of theirs.
    merge: (userState, hop, now, answered = false) => (isExchange(userState) ? exchanged(userState, hop, !answered, now) : []),
    localState(join, now, asked) {
      const theirs = asked !== undefined && isExchange(asked) ? decodeExchange(asked) : null;
      return theirs?.ok ? antiEntropy.reply(theirs.value, now) : antiEntropy.state(join, now);
    },
    introduction: () => antiEntropy.introduction(),
    learn(certificates, revocations, hop, now) {
      const unread = certificates.filter(bytes => !readCertificate(bytes).ok);
      const malformed = unread.map((): LayerOutput => ({ kind: 'refused', why: 'malformed-certificate', kid: null, hop }));
      return [...malformed, ...learn(certificates, hop, now), ...learnRevocations(revocations, hop, now)];
    },
    adoptKeys: (keys, generation) => schedule.adopt({ keys, generation }),
    meta: (incarnation, extra) =>
      signMeta({ certificate, epoch: sender.epoch, extra }, { node: certificate.nodeName, ...options.advertise, incarnation }, identity.edSecret, signatures),
    renew(renewed, now) {
      if (renewed.kid !== kid || !roster.learn(renewed, now).ok) return false;
      certificate = renewed;
      return true;
    },
    advise: (advice, now) => sent(sender.advise(advice, now), now),
    withdraw: (targets, asError, now) => sent(sender.withdraw(targets, asError, now), now),
    withdrawItem(epoch, seq, asError, now) {
      const outputs = sender.withdrawItem(epoch, seq, asError, now);
      return outputs === false ? false : sent(outputs, now);
    },
    accuse(charges, now) {
      const outputs: LayerOutput[] = [];
      for (const batch of batches(charges, longestBytes)) {
        for (const charge of batch) accusations.accuse(certificate.nodeName, charge, unixMs(now + ACCUSATION_TTL_S * SECOND_MS));
        outputs.push(...sent(sender.signal('accusation', encodeAccusations(batch), ACCUSATION_TTL_S, now), now));
      }
      return outputs;
    },
    leave: (incarnation, now) => sent(sender.signal('leave', encodeLeave({ incarnation }), LEAVE_TTL_S, now), now),
    kept: () => [...book.speakers()].flatMap(speaker => book.latestOf(speaker).map(({ bytes }) => bytes)),
    get waiting() {
      return inbox.waiting;
    },
    get keptBytes() {
      return book.bytes;
    },
    restore(envelopes, now) {
      for (const [at, bytes] of envelopes.entries()) inbox.add(bytes, `kept ${Math.floor(at / KEPT_TOGETHER)}`);
      return fromInbox(now);
    },
    tick(now) {
      prune(now);
      return [...sent(sender.due(now), now), ...fromInbox(now), ...schedule.due(now)];
    },
    nextDeadline() {
      const times = [sender.nextDeadline(), inbox.nextDeadline(), schedule.nextDeadline(), pruneAt].filter(at => at !== 'never');
      return times.length === 0 ? 'never' : unixMs(Math.min(...times));
    },
  };
}

/** Of the room of one hop in the inbox. */
const KEPT_TOGETHER = 700;
const MOST_CERTIFICATES = 2_048;
const MOST_LISTS = 64;
/** In one exchange. */
const MOST_FORGED = 16;

function batches(charges: readonly Accusation[], longestBytes: number): readonly (readonly Accusation[])[] {
  const room = longestBytes - 120;
  const all: Accusation[][] = [];
  let left = 0;
  for (const charge of charges) {
    const bytes = accusationBytes(charge);
    const last = all.at(-1);
    if (last !== undefined && last.length < MOST_ACCUSATIONS && bytes <= left) last.push(charge);
    else {
      all.push([charge]);
      left = room;
    }
    left -= bytes;
  }
  return all;
}
