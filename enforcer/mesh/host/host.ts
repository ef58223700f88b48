/**
 * This host as a member of the mesh: memberlist's core on sockets, HM1 beside it, what both must find again after a restart on the disk. Whatever it has to
 * tell goes out by `onWord`; nothing that a peer does makes it throw.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { EnvelopeOptions } from '../node/envelope.ts';
import type { PortFault } from '../node/listen.ts';
import { hasAddress, isAnywhere } from '../node/listen.ts';
import { type MeshNode, type NodeDeps, type NodeRefusal, startNode } from '../node/node.ts';
import { createNodeMemory } from '../node/node-memory.ts';
import { hostOf } from '../node/places.ts';
import { type Lookup, systemLookup } from '../node/resolve.ts';
import type { MeshHost, MeshSettings, MeshState, MeshWord } from '../port.ts';
import { DEFAULT_VERSIONS, PROFILES, type Tuning } from '../protocol/core/options.ts';
import type { MemberEvent } from '../protocol/core/outputs.ts';
import type { Keyring } from '../protocol/wire/keyring.ts';
import { readCertificate } from '../signed/certificates.ts';
import { createMeshState, STATE_FILES } from '../state/state.ts';
import { begin } from './begin.ts';
import { type Complaint, createComplaints } from './complaints.ts';
import { createDoing } from './doing.ts';
import { createHearing } from './hearing.ts';
import { createKeeping } from './keeping.ts';
import { createNeighbours } from './neighbours.ts';
import { createOrders } from './orders.ts';
import { ownWordsIn } from './own-envelopes.ts';
import { createProofs } from './proofs.ts';
import { createRefusals } from './refusals.ts';
import { createRestoring } from './restoring.ts';
import { createRunner } from './runner.ts';
import { createSigning, type Signing } from './signing.ts';
import { createTelling } from './telling.ts';
import { createViewer } from './viewer.ts';
import { createWatch } from './watch.ts';
import { createWriters } from './writers.ts';

export interface MeshHostDeps {
  readonly onWord: (word: MeshWord) => void;
  /** Absent: files in the settings' directory. */
  readonly state?: MeshState;
  readonly now?: () => UnixMs;
  readonly lookup?: Lookup;
  /** For tests and benches, and the scriptable peer. */
  readonly tuning?: Partial<Tuning>;
  readonly versions?: Uint8Array;
  readonly envelope?: Partial<Pick<EnvelopeOptions, 'compress' | 'skipLabelCheck' | 'verifyIncoming' | 'verifyOutgoing'>>;
  readonly letsOut?: NonNullable<NodeDeps['letsOut']>;
  readonly wrap?: NonNullable<NodeDeps['wrap']>;
  readonly onEvent?: (event: MemberEvent) => void;
  readonly onRefusal?: (refusal: NodeRefusal) => void;
}

export interface RunningMeshHost extends MeshHost {
  /** What is below, for who speaks memberlist with it. */
  readonly node: MeshNode;
  readonly keyring: Keyring;
}

export type MeshStart = { readonly ok: true; readonly value: RunningMeshHost } | ({ readonly ok: false } & Complaint);

const REFUSALS_EVERY_MS = 10_000;
const WATCH_EVERY_MS = 10_000;
/** At the rate of an idle member a crash loses a thousand of a budget of billions. */
const KEEP_USE_MS = 600_000;
/** Until somebody is met; from then on the core tries again each minute. */
const MEET_AFTER_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

const PORT_FIXES: Readonly<Record<PortFault, string>> = {
  'in-use': 'stop what listens there, or set mesh.bind to another port; "ss -lntup" shows it',
  'not-allowed': 'run as root, or set mesh.bind to a port of 1024 or more',
  'no-such-address': 'set mesh.bind to an address of this host, or to 0.0.0.0',
  unavailable: 'set mesh.bind to another address',
};

/** Binds, and joins in the background whom the settings and its memory name. Never rejects. */
export async function startMeshHost(settings: MeshSettings, deps: MeshHostDeps): Promise<MeshStart> {
  const now = deps.now ?? (() => unixMs(Date.now()));
  const state = deps.state ?? createMeshState(settings.directory);
  const say = deps.onWord;
  const lookup = deps.lookup ?? systemLookup;
  const begun = await begin(settings, state, lookup, now());
  if (!begun.ok) return begun;
  const { kept, signer, ring, nonces, epoch, advertise } = begun.value;

  const complaints = createComplaints(say);
  const refusals = createRefusals();
  const watch = createWatch(complaints);
  // Names are bytes, a character each.
  const name = Buffer.from(signer?.certificate.nodeName ?? settings.nodeName, 'utf8').toString('latin1');
  const label = new Uint8Array(Buffer.from(settings.label, 'utf8'));
  const tuning = { ...PROFILES[settings.profile], ...deps.tuning };
  const neighbours = createNeighbours(name, (of, at) => {
    const certificate = signer?.roster.named(of) ?? null;
    if (certificate === null || signing === null || signing.layer.claims.signedIncarnation(of) === null) return null;
    return signer?.roster.node(certificate.kid, at).ok ? certificate : null;
  });

  let signing: Signing | null = null;
  let node: MeshNode | null = null;
  const layer = () => signing?.layer ?? null;
  const runner = createRunner({ layer, clock: now, act: outputs => doing.act(outputs) });
  const proofs = createProofs(kept.proofs ?? [], bytes => {
    const read = readCertificate(bytes);
    return read.ok ? read.value.kid : null;
  });
  /** What earlier runs encrypted counts, as long as the key is the same. */
  const encrypted = (): number => (kept.use?.keyId === ring.ids()[0] ? (kept.use?.encrypted ?? 0) : 0) + (node?.stats().encrypted ?? 0);
  const restoring = createRestoring(kept.envelopes, runner, now);
  const writers = createWriters({ state, signer, layer, ring, proofs, encrypted, waiting: restoring.waiting, now });
  const keeping = createKeeping({ write: writers, complaints });
  const viewer = createViewer({ node: () => node, name, signer, neighbours, ring, refusals, now });
  const telling = createTelling({ say, view: viewer.view, neighbours, now, selfName: name });
  const doing = createDoing({
    node: () => node,
    layer,
    runner,
    ring,
    state,
    keeping,
    telling,
    complaints,
    watch,
    refusals,
    neighbours,
    signer,
    viewer,
    proofs,
    keptBytes: () => layer()?.keptBytes ?? 0,
    say,
    now,
  });
  const hearing = createHearing({ layer, runner, telling, watch, refusals, neighbours, viewer, now });

  const started = await startNode(
    {
      member: { ...tuning, name, meta: new Uint8Array(), versions: deps.versions ?? DEFAULT_VERSIONS },
      ...(advertise === null ? {} : { advertise }),
      bind: settings.bind,
      port: settings.port,
      join: settings.join,
      // Signatures and addresses do not compress, and what is left of a packet is small.
      envelope: { label, keyring: ring.keyring, nonces, skipLabelCheck: false, verifyIncoming: true, verifyOutgoing: true, compress: false, ...deps.envelope },
    },
    {
      hooks(advertised) {
        if (signer === null) return {};
        const options = { label, packetBytes: tuning.packetBytes, keys: ring.keys().keys, keyGeneration: ring.keys().generation, epoch };
        signing = createSigning(signer, advertised, options, { now, neighbours, refused: refusals.add, later: runner.later });
        return signing.hooks;
      },
      memory: createNodeMemory(join(settings.directory, STATE_FILES.node)),
      lookup,
      onEvent(event) {
        hearing.heard(event);
        deps.onEvent?.(event);
      },
      onRefusal(refusal) {
        hearing.refused(refusal);
        deps.onRefusal?.(refusal);
      },
      onTrouble: error => watch.trouble(error.message, now()),
      ...(deps.letsOut === undefined ? {} : { letsOut: deps.letsOut }),
      ...(deps.wrap === undefined ? {} : { wrap: deps.wrap }),
    },
  );
  if (!started.ok) {
    const where = `${settings.bind}:${settings.port}`;
    return { ok: false, why: `the mesh cannot listen on ${where}: ${started.why}`, fix: PORT_FIXES[started.why] };
  }
  const running = started.value;
  node = running;
  const stopping = new AbortController();
  for (const { key, ...complaint } of begun.value.complaints) complaints.set(key, complaint);
  const signed = layer();
  if (signed !== null) void restoring.run(signed, stopping.signal);
  if (signer !== null) for (const word of ownWordsIn(kept.envelopes, signer.certificate.kid)) say(word);
  look();
  telling.changed(true);

  function goneAddress(): string | null {
    // Else somebody has chosen it, and may know why.
    if (advertise !== null || !isAnywhere(settings.bind)) return null;
    const own = hostOf(running.advertised);
    return hasAddress(own) ? null : own;
  }

  function look(): void {
    const certificate = signer === null ? null : (signer.roster.named(name) ?? signer.certificate);
    watch.tick({ now: now(), certificate, encrypted: encrypted(), members: running.stats().alive, goneAddress: goneAddress() });
    if (ring.keyring.primary !== null) keeping.soon('use', KEEP_USE_MS);
    telling.changed(false);
  }

  function tellRefusals(): void {
    const word = refusals.take();
    if (word !== null) say(word);
  }

  const timers = [setInterval(look, WATCH_EVERY_MS), setInterval(tellRefusals, REFUSALS_EVERY_MS)];
  const met = (): boolean => running.stats().alive > 1;
  void (async () => {
    for (const afterMs of MEET_AFTER_MS) {
      await sleep(afterMs, null, { signal: stopping.signal }).catch(() => null);
      if (stopping.signal.aborted || met()) return;
      await running.join();
    }
  })();

  let stopped: Promise<void> | null = null;
  async function stop(): Promise<void> {
    stopping.abort();
    for (const timer of timers) clearInterval(timer);
    telling.stop();
    runner.stop();
    await running.stop();
    if (signer !== null) keeping.soon('envelopes', 0);
    await keeping.flush();
    tellRefusals();
  }

  const orders = createOrders({ node: running, layer, runner, ring, signer, keeping, now });
  return {
    ok: true,
    value: {
      ...orders,
      view: viewer.view,
      node: running,
      keyring: ring.keyring,
      stop() {
        stopped ??= stop();
        return stopped;
      },
    },
  };
}
