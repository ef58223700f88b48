/** What the daemon wants of the mesh. */
import type { Prefix } from '@honeymesh/intel/address';
import { type Advice, isAdvisable } from '@honeymesh/intel/advisories';
import { LONGEST_LIFE_MS } from '@honeymesh/intel/envelope';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { Shared } from '../../ledger/advice/share.ts';
import type { MeshNode } from '../node/node.ts';
import { textOfEndpoint } from '../node/places.ts';
import type { MeshHost } from '../port.ts';
import { readCertificate } from '../signed/certificates.ts';
import type { LayerOutput, SignedLayer } from '../signed/signed-layer.ts';
import type { Keeping } from './keeping.ts';
import type { Ring } from './ring.ts';
import type { Runner } from './runner.ts';
import type { Signer } from './who.ts';

export interface OrdersDeps {
  readonly node: MeshNode;
  readonly layer: () => SignedLayer | null;
  readonly runner: Runner;
  readonly ring: Ring;
  readonly signer: Signer | null;
  readonly keeping: Keeping;
  readonly now: () => UnixMs;
}

export function createOrders({ node, layer, runner, ring, signer, keeping, now }: OrdersDeps): Omit<MeshHost, 'stop' | 'view'> {
  function advise(advice: readonly Advice[]): void {
    const sayable = advice.filter(one => isAdvisable(one.target) && one.ttlS >= 1);
    if (sayable.length > 0) runner.now(layer()?.advise(sayable, now()) ?? []);
  }

  function withdraw(targets: readonly Prefix[], asError: boolean): void {
    if (targets.length > 0) runner.now(layer()?.withdraw(targets, asError, now()) ?? []);
  }

  /** In the order of what was decided: a target that was lifted and banned again stands in the end. Those of a kind go together. */
  function share(shared: readonly Shared[]): void {
    let rest = shared;
    while (rest.length > 0) {
      const [first] = rest;
      const end = rest.findIndex(one => kindOf(one) !== (first === undefined ? '' : kindOf(first)));
      const run = end < 0 ? rest : rest.slice(0, end);
      rest = rest.slice(run.length);
      if (first?.kind === 'withdraw')
        withdraw(
          run.map(({ target }) => target),
          first.asError,
        );
      else advise(run.flatMap(one => (one.kind === 'advise' ? [adviceOf(one, now())] : [])));
    }
  }

  /** Runs what was put out, and gives back why something was refused. */
  function done(outputs: readonly LayerOutput[]): readonly string[] {
    runner.now(outputs.filter(output => output.kind !== 'refused'));
    return outputs.flatMap(output => (output.kind === 'refused' ? [output.why] : []));
  }

  return {
    share,
    advise,
    withdraw,
    withdrawItem(seq, asError) {
      const signed = layer();
      const outputs = signed?.withdrawItem(signed.epoch, seq, asError, now()) ?? false;
      if (outputs === false) return false;
      runner.now(outputs);
      return true;
    },
    async join(targets) {
      const { contacted, failed, unresolved } = await node.join(targets);
      const unmet = failed.map(({ target, why, text }) => `${textOfEndpoint(target)}: ${text === '' ? why : `${why} (${text})`}`);
      return { contacted, failed: [...unresolved.map(({ target, why }) => `${target}: ${why}`), ...unmet] };
    },
    leave(timeoutMs) {
      runner.now(layer()?.leave(node.self().incarnation, now()) ?? []);
      return node.leave(timeoutMs);
    },
    learn: (certificates, revocations) => done(layer()?.learn(certificates, revocations, 'this host', now()) ?? []),
    announce(envelope) {
      const outputs = layer()?.payload(envelope, 'this host', now()) ?? [];
      return done(outputs.map(output => (output.kind === 'broadcast' ? { ...output, push: true } : output)));
    },
    renew(bytes) {
      const certificate = readCertificate(bytes);
      if (!certificate.ok || certificate.value.kind !== 'node' || layer()?.renew(certificate.value, now()) !== true) return false;
      keeping.soon('trust', 0);
      node.tell({ kind: 'update-meta', meta: new Uint8Array() });
      return true;
    },
    certified: () => signer?.roster.nodes(now()).map(({ bytes }) => bytes) ?? [],
    keys: ring.keys,
    adoptKeys: keys => runner.now(layer()?.adoptKeys(keys.keys, keys.generation) ?? ring.stepsTo(keys)),
  };
}

const kindOf = (one: Shared): string => (one.kind === 'advise' ? one.kind : `${one.kind} ${one.asError}`);

function adviceOf({ target, tier, reasons, expiresAt }: Extract<Shared, { kind: 'advise' }>, now: UnixMs): Advice {
  const ttlS = Math.ceil((Math.min(expiresAt, now + LONGEST_LIFE_MS) - now) / SECOND_MS);
  return { target, tier, reasons, ttlS };
}
