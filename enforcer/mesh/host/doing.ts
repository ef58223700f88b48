/** Does what HM1 wants done: says it, passes it on, keeps it, tells the ledger and the operator. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshNode } from '../node/node.ts';
import { endpointFrom, parseTarget } from '../node/places.ts';
import type { MeshState, MeshWord } from '../port.ts';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import type { KeyStep } from '../signed/key-schedule.ts';
import type { LayerOutput, SignedLayer } from '../signed/signed-layer.ts';
import type { Complaints } from './complaints.ts';
import { ledgerInputsOf } from './intel-inputs.ts';
import type { Keeping } from './keeping.ts';
import type { Neighbours } from './neighbours.ts';
import type { Proofs } from './proofs.ts';
import type { Refusals } from './refusals.ts';
import { keyIdOf, type Ring } from './ring.ts';
import type { Runner } from './runner.ts';
import type { Telling } from './telling.ts';
import type { Viewer } from './viewer.ts';
import type { Watch } from './watch.ts';
import type { Signer } from './who.ts';

export interface DoingDeps {
  readonly node: () => MeshNode | null;
  readonly layer: () => SignedLayer | null;
  readonly runner: Runner;
  readonly ring: Ring;
  readonly state: MeshState;
  readonly keeping: Keeping;
  readonly telling: Telling;
  readonly complaints: Complaints;
  readonly watch: Watch;
  readonly refusals: Refusals;
  readonly neighbours: Neighbours;
  readonly signer: Signer | null;
  readonly viewer: Viewer;
  readonly proofs: Proofs;
  /** Of the words that hold now. */
  readonly keptBytes: () => number;
  readonly say: (word: MeshWord) => void;
  readonly now: () => UnixMs;
}

export interface Doing {
  act(outputs: readonly LayerOutput[]): void;
}

/** New words: a crash within this costs us what we could have told others. */
const KEEP_WORDS_MS = 30_000;
/** Words that were taken back: they must not hold again after a crash. */
const KEEP_WITHDRAWALS_MS = 1_000;
/** Of the words: 32 MB, the most there are, each half minute. */
const KEPT_BYTES_A_MS = 1_000;
const KEEP_TRUST_MS = 2_000;
const EPOCH_AGAIN_MS = 10_000;

export function createDoing(deps: DoingDeps): Doing {
  const { node, layer, runner, ring, state, keeping, telling, complaints, watch, refusals, neighbours, signer, viewer, proofs, keptBytes, say, now } = deps;
  const { counts } = viewer;
  let keptRevision = signer?.roster.revision ?? 0;

  function act(outputs: readonly LayerOutput[]): void {
    const inputs = outputs.flatMap(ledgerInputsOf);
    if (inputs.length > 0) say({ kind: 'heard', inputs });
    for (const output of outputs) carryOut(output);
    if (signer === null || signer.roster.revision === keptRevision) return;
    keptRevision = signer.roster.revision;
    keeping.soon('trust', KEEP_TRUST_MS);
    keepWords(false);
    telling.changed(true);
  }

  function carryOut(output: LayerOutput): void {
    switch (output.kind) {
      case 'broadcast':
        node()?.tell({ kind: 'broadcast', payload: output.payload, push: output.push });
        return;
      case 'send-reliable':
        answer(output);
        return;
      case 'persist-epoch':
        void keepEpoch(output.epoch);
        return;
      case 'intel':
        counts.adviceHeard += output.advice.length;
        counts.withdrawalsHeard += output.withdrawals.length;
        keepWords(output.withdrawals.length > 0);
        return;
      case 'said':
        counts.envelopesSaid++;
        counts.adviceSaid += output.advice.length;
        keepWords(output.withdrawals > 0);
        say({ kind: 'own-envelope', epoch: output.epoch, seq: output.seq, bytes: output.payload });
        if (output.advice.length > 0) say({ kind: 'sent', epoch: output.epoch, seq: output.seq, advice: output.advice });
        return;
      case 'left':
        node()?.left(output.node, output.incarnation);
        return;
      case 'add-key':
      case 'use-key':
      case 'remove-key':
        stepped(output);
        return;
      case 'revoked':
        revoked(output);
        return;
      case 'dropped':
        counts.adviceDropped += output.advice.length;
        refusals.add('not said: more than can be said', output.advice[0]?.target ?? null);
        return;
      case 'misuse':
        counts.misuses++;
        if (proofs.add(output.signer, output.proof)) keeping.soon('proofs', 0);
        refusals.add(`misuse: ${output.why}`, output.signer.kind === 'node' ? output.signer.nodeName : `registrar ${output.signer.kid}`);
        if (output.signer.kind === 'registrar') registrarMisuse(output.signer.kid);
        return;
      case 'own-key-elsewhere':
        complaints.set('own-key', {
          why: `somebody signs with the key of this host (epoch ${output.epoch}, number ${output.seq}), or this host lost count of what it said`,
          fix: 'join anew, with new keys: honeymesh mesh join TOKEN; if another host may hold a copy of the key, revoke it: honeymesh mesh revoke',
        });
        return;
      case 'refused':
        refusals.add(`hm1: ${output.why}`, output.kid === null ? output.hop : nameOf(output.kid));
        if (output.why === 'from-the-future' && output.kid !== null) watch.fromTheFuture(nameOf(output.kid), now());
        return;
    }
  }

  /** Who takes back something twice a second must not wear out our disk: the more there is, the rarer it is written. */
  function keepWords(takenBack: boolean): void {
    keeping.soon('envelopes', Math.max(takenBack ? KEEP_WITHDRAWALS_MS : KEEP_WORDS_MS, keptBytes() / KEPT_BYTES_A_MS));
  }

  const nameOf = (kid: Extract<LayerOutput, { kind: 'revoked' }>['kid']): string => {
    const certificate = signer?.roster.node(kid, now());
    return certificate?.ok ? certificate.value.nodeName : kid;
  };

  /** Words of others go to certified members only. */
  function answer({ hop, payload }: Extract<LayerOutput, { kind: 'send-reliable' }>): void {
    const to = endpointOf(hop);
    if (to !== null && neighbours.isCertifiedAt(to, true, now())) void node()?.sendReliable(to, payload);
  }

  /** A step of our clock began a new epoch: nothing is said before its number is on the disk. */
  async function keepEpoch(epoch: number): Promise<void> {
    try {
      await state.keepEpoch(epoch);
      complaints.set('epoch', null);
      runner.now(layer()?.persisted(epoch, now()) ?? []);
    } catch (error) {
      const why = `the mesh cannot keep its epoch, and says nothing until it can: ${error instanceof Error ? error.message : String(error)}`;
      complaints.set('epoch', { why, fix: 'make room on the disk, or let root write to the state directory' });
      setTimeout(() => void keepEpoch(epoch), EPOCH_AGAIN_MS).unref();
    }
  }

  function stepped(step: KeyStep): void {
    if (!ring.step(step)) return;
    keeping.soon('keys', 0);
    telling.changed(true);
    if (step.kind !== 'use-key') return;
    const text = `group key ${keyIdOf(step.key)} of generation ${step.generation} is used from now on`;
    say({ kind: 'peer', what: 'key-used', name: signer?.certificate.nodeName ?? '', address: null, text });
  }

  function revoked({ kid, node: name }: Extract<LayerOutput, { kind: 'revoked' }>): void {
    say({ kind: 'peer', what: 'revoked', name: name ?? kid, address: null, text: `the certificate of ${name ?? 'a host'} (key ${kid}) was revoked` });
    if (kid !== signer?.certificate.kid) return;
    complaints.set('revoked', {
      why: 'the certificate of this host was revoked: peers refuse what it says',
      fix: 'ask who runs the registrar; a new token lets it join again',
    });
  }

  function registrarMisuse(kid: string): void {
    const why = `the registrar with key ${kid} signed two contents under one number: its key is in two places`;
    complaints.set('registrar', { why, fix: 'revoke that registrar with the root file: honeymesh mesh revoke' });
  }

  return { act };
}

function endpointOf(hop: string): Endpoint | null {
  const place = parseTarget(hop);
  return place.ok ? endpointFrom(place.value.host, place.value.port) : null;
}
