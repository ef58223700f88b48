/**
 * The composition root: the only place where the parts meet. Read top to bottom it is the architecture: kernel and ledger, the
 * pipeline between them, what feeds it (kernel, traps, operator), what keeps it current, and the control socket.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { Degraded, NewEvent } from '@honeymesh/intel/events';
import { rfc3339, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { readHubOrder } from './config/hub-order.ts';
import { kernelConfigOf, ledgerPolicyOf } from './config/policies.ts';
import { withoutSecrets } from './config/units.ts';
import type { Operations } from './control/operations.ts';
import { createControlServer } from './control/server.ts';
import { createDashboardPart } from './daemon-dashboard.ts';
import { createHubPart, type HubPart } from './daemon-hub.ts';
import { createMeshPart } from './daemon-mesh.ts';
import { createTrapPart, type TrapPart } from './daemon-traps.ts';
import type { Welcome } from './dashboard/welcome.ts';
import { createBystanders } from './health/bystanders.ts';
import { createClockWatch } from './health/clock.ts';
import { lookAtRooms, lookAtStore } from './health/complaints.ts';
import { createDegradedBoard } from './health/degraded.ts';
import { lookAtDisk } from './health/disk.ts';
import { createLog } from './health/log.ts';
import { machineAllows, readListening, readMachine } from './health/machine.ts';
import { createMachineWatch } from './health/machine-watch.ts';
import { reportStatus } from './health/status.ts';
import { openPinnedKernel } from './kernel/pinned.ts';
import type { ServedPorts } from './kernel/port.ts';
import type { LauncherChannel } from './launch/channel.ts';
import type { LauncherMessage } from './launch/messages.ts';
import { PARTS } from './launch/parts.ts';
import { mergePorts } from './launch/published-ports.ts';
import { createLedger } from './ledger/ledger.ts';
import type { MeshPart } from './mesh/port.ts';
import { createMembership } from './mesh/registrar/membership.ts';
import { createEd25519 } from './mesh/signed/keys.ts';
import { createMeshState } from './mesh/state/state.ts';
import { createSurroundings } from './mesh/thread/surroundings.ts';
import { createNotifier } from './notify/notify.ts';
import { createBanList } from './pipeline/ban-list.ts';
import { createEnforcement } from './pipeline/enforce.ts';
import { createEventReads } from './pipeline/event-reads.ts';
import { explain } from './pipeline/explain.ts';
import { createKernelFeed } from './pipeline/kernel-feed.ts';
import { createOrders } from './pipeline/orders.ts';
import { createPause } from './pipeline/pause.ts';
import { createPipeline } from './pipeline/pipeline.ts';
import { orphanRules, reconcile } from './pipeline/reconcile.ts';
import { readAddress, readTarget } from './pipeline/texts.ts';
import { createStore } from './store/store.ts';
import { VERSION } from './version.ts';

const TICK_MS = SECOND_MS;
const MACHINE_EVERY_TICKS = 5;
const LOW_DISK_BYTES = 100 * 2 ** 20;

export interface Daemon {
  /** Where the dashboard is, for whoever started us; null: it is off, or does not listen. */
  readonly dashboard: Welcome | null;
  /** Ends in order and leaves the kernel enforcing. */
  stop(why: string): Promise<void>;
}

/** Starts everything from what the launcher said. Resolves when the control socket answers and ledger and kernel are one. `onStopOrder`: the operator said `stop`. */
export async function startDaemon(channel: LauncherChannel, onStopOrder: () => void): Promise<Daemon> {
  const { options } = channel;
  const { config, paths, instance } = options;
  const now = (): UnixMs => unixMs(Date.now());
  const since = now();
  const log = createLog({ level: config.log.level, instance });
  const over = new AbortController();
  const onBug = (error: unknown): void => log.error('an operation failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });

  // What is kept: in the kernel, on the disk.
  const kernel = openPinnedKernel({ pinDirectory: paths.pins }, { now });
  const store = createStore(
    { directory: paths.state, retentionMs: config.store.retentionMs, segmentEvents: config.store.segmentEvents, workerPath: PARTS.storeWorker },
    { log, now },
  );
  await store.start();
  const kernelConfig = kernelConfigOf(config, {
    trapPort: options.listeners?.port ?? 0,
    trapMark: options.listeners?.mark ?? 0,
    trapUdpPort: options.listeners?.udpPort ?? 0,
    ephemeralPorts: options.ephemeralPorts,
  });
  kernel.setConfig(kernelConfig);

  // What is true of this machine, and who is allowed for that.
  let sessions = options.sessions;
  const configAllows: readonly AllowEntry[] = config.allow.map(target => ({
    target,
    cause: 'config',
    why: `in ${options.configPath ?? 'the configuration'}`,
    since,
  }));
  const machine = createMachineWatch({
    readMachine,
    allows: (facts, at) => [...configAllows, ...machineAllows(facts, at), ...sessions],
    onOwn: own => kernel.setOwnAddresses(own),
    onAllows: entries => void pipeline.order({ kind: 'auto-allow', entries }),
    now,
  });

  // What is judged, and what follows from it.
  let traps: TrapPart | undefined;
  let mesh: MeshPart | undefined;
  let hub: HubPart | undefined;
  const kept = await store.loadLedger();
  const surroundings = createSurroundings({ now, hubEndpoints: () => hub?.endpoints() ?? [] }, { remembered: kept.advice ?? [] });
  const bystanders = createBystanders({ kernel, onLink: () => machine.onLink, own: () => machine.own, now });
  const ledger = createLedger(ledgerPolicyOf(config, kernel.banCapacity()), bystanders, kept, surroundings);
  const enforcement = createEnforcement(kernel, { allowed: ledger.allowed(), bans: [...ledger.bans(), ...orphanRules(kernel, ledger, now())] });
  const degraded = createDegradedBoard((complaint, raised) => {
    if (raised) log.warn(complaint.why, { part: complaint.part, fix: complaint.fix });
    else log.info('recovered', { part: complaint.part, why: complaint.why });
    void pipeline.record([degradedEvent(complaint, raised, now())]);
  });
  const pipeline = createPipeline({
    ledger,
    enforcement,
    store,
    degraded,
    now,
    onEnforced: target => traps?.closeSource(target),
    onDecided(decisions) {
      dashboard.metrics.decided(decisions);
      mesh?.decided(decisions);
    },
  });
  const notifier = createNotifier(
    { config: config.notify, host: hostname(), instance },
    { degraded, now, random: Math.random, newId: () => `msg_${randomUUID()}` },
  );
  pipeline.listen(notifier.hear, new AbortController().signal); // to the last event: that it stops
  const pause = createPause({ kernel, pipeline, now });
  const enforcing = (): boolean => config.mode !== 'observe' && pause.until() === null;
  const feed = createKernelFeed({ kernel, pipeline, degraded, now });

  const dashboard = await createDashboardPart(
    { config: config.dashboard, state: paths.state },
    { operations: () => operations, pipeline, ledger, store, degraded, peers: () => mesh?.peers() ?? [], onBug, now, over: over.signal },
  );

  // Before anything is judged: who must not be locked out, then one truth of ledger and kernel.
  machine.look();
  mend('after a start');
  lookAtStore(store, paths.state, degraded); // whoever asks first is told, not only who asks a second later
  lookAtRooms(ledger, degraded);

  // Peers first: their ports are known before the traps take theirs.
  let served = options.served;
  let meshPorts: ServedPorts = { tcp: [], udp: [] };
  const serve = (): void => kernel.setServedPorts(mergePorts([served, meshPorts]), readListening(options.listeners).served);
  const meshDirectory = `${paths.state}/mesh`;
  const meshState = createMeshState(meshDirectory);
  mesh = createMeshPart(
    { config: config.mesh, directory: meshDirectory, never: config.share.never },
    {
      surroundings,
      pipeline,
      ledger,
      store,
      degraded,
      log,
      loadKept: meshState.load,
      isRegistrar: () => membership.isRegistrar(),
      onAcquainted: kernel.prove,
      onOwnEnvelope: envelope => hub?.own(envelope),
      onPorts(ports) {
        meshPorts = ports;
        serve();
      },
      now,
    },
  );
  const membership = await createMembership(
    { config: config.mesh, directory: meshDirectory, hostName: hostname() },
    {
      mesh,
      state: meshState,
      signatures: createEd25519(),
      record: event => void pipeline.record([event]),
      complain: (key, why, fix) => degraded.raise({ part: 'mesh', why, fix }, key),
      recovered: key => degraded.clear('mesh', key),
      onBug,
      now,
      random: length => Uint8Array.from(randomBytes(length)),
    },
  );
  const meshUp = mesh.start().then(membership.start);
  const hubPart = createHubPart(
    { config: config.hub, directory: `${paths.state}/hub`, meshDirectory, entry: PARTS.relay },
    {
      pipeline,
      degraded,
      log,
      facts: () => ({ version: VERSION, mode: config.mode, bans: ledger.bans().length, degraded: [...new Set(degraded.current().map(({ part }) => part))] }),
      now,
    },
  );
  hub = hubPart;
  hubPart.start();
  traps = createTrapPart({ config, paths, listeners: options.listeners }, { kernel, pipeline, ledger, degraded, log, now });
  const trapsUp = traps.start();
  kernel.readEvents(events => feed.take(events), over.signal);

  // What the operator may ask.
  const banList = createBanList({ shunMs: kernelConfig.shunMs, longestShunMs: kernelConfig.longestShunMs }, { ledger, kernel, enforcing, now });
  let interfaces = options.interfaces;
  const operations: Operations = {
    ...createOrders({ pipeline, ledger, kernel, banList, now }),
    ...createEventReads({ store, pipeline, now }),
    status: () =>
      Promise.resolve(
        reportStatus({
          instance,
          mode: config.mode,
          since,
          capacity: config.bans.capacity,
          kernel,
          banList,
          store,
          degraded,
          interfaces: () => interfaces,
          traps: traps.status,
          mesh: mesh.report,
          notify: notifier.report,
          hub: hubPart.report,
          pausedUntil: pause.until,
        }),
      ),
    listBans: async ({ target, tier }) =>
      banList.rows(target === undefined ? undefined : readTarget(target)).filter(row => tier === undefined || row.tier === tier),
    listPeers: () => Promise.resolve(mesh.peers()),
    notifyTest: ({ channel }) => notifier.test(channel),
    ...membership.operations,
    explain: ({ address }) =>
      explain(readAddress(address), { ledger, kernel, store, banList, enforcing, firstDropOf: feed.firstDropOf, neverShared: config.share.never, now }),
    pause: async ({ duration }) => {
      const until = await pause.set(duration);
      return { pausedUntil: until === null ? null : rfc3339(until) };
    },
    async hubUse(order) {
      await hubPart.restart(readHubOrder(order));
      return hubPart.report();
    },
    ...dashboard.operations,
    showConfig: () => Promise.resolve({ ...withoutSecrets(config) }),
    stop: () => {
      setImmediate(onStopOrder); // the answer goes out first
      return Promise.resolve({ stopping: true });
    },
  };
  const [welcome] = await Promise.all([dashboard.start(), trapsUp, meshUp]); // who is told that the enforcer is ready may touch a trap at once
  const control = createControlServer({ socketPath: paths.socket }, { operations, onBug });
  await control.start(over.signal);

  // What keeps all of it current.
  let ticks = 0;
  const clock = createClockWatch({ wallMs: Date.now, monotonicMs: () => performance.now() });
  const ticking = setInterval(tick, TICK_MS);
  channel.listen(hear);
  await pipeline.record([lifecycle(`the enforcer started (version ${VERSION}, mode ${config.mode})`)]);
  log.info('the enforcer is ready', { version: VERSION, mode: config.mode, interfaces: interfaces.map(({ name, xdp }) => `${name} (${xdp})`) });

  function tick(): void {
    const steppedMs = clock.look();
    if (steppedMs !== 0) mend(`after the clock was stepped by ${steppedMs} ms`);
    kernel.sweep(now());
    pipeline.tick();
    feed.tick();
    traps?.tick();
    mesh?.tick();
    hub?.tick();
    membership.tick();
    dashboard.tick();
    lookAtStore(store, paths.state, degraded);
    lookAtRooms(ledger, degraded);
    if (ticks++ % MACHINE_EVERY_TICKS !== 0) return;
    machine.look();
    void lookAtDisk({ directory: paths.state, lowBytes: LOW_DISK_BYTES }, degraded);
  }

  function mend(when: string): void {
    const startedMs = performance.now();
    const { inputs, refused, inBoth, putIntoKernel, removedFromKernel, adopted } = reconcile({ kernel, ledger, enforcement }, now());
    for (const input of inputs) void pipeline.order(input);
    const tookMs = Math.round(performance.now() - startedMs);
    const detail = { inBoth, putIntoKernel, adopted, removedFromKernel, refused: refused.length, tookMs };
    log.info(`ledger and kernel are one ${when}`, detail);
    void pipeline.record([
      {
        ...lifecycle(`ledger and kernel are one ${when}: ${inBoth} in both, ${putIntoKernel} put in, ${adopted} taken over, ${removedFromKernel} taken out`),
        detail,
      },
    ]);
  }

  function hear(message: Exclude<LauncherMessage, { kind: 'start' }>): void {
    switch (message.kind) {
      case 'attachment':
        interfaces = message.interfaces;
        break;
      case 'degraded':
        degraded.raise({ part: message.part, why: message.why, fix: message.fix }, message.key);
        break;
      case 'recovered':
        degraded.clear(message.part, message.key);
        break;
      case 'sessions':
        sessions = message.entries;
        machine.look();
        break;
      case 'served':
        served = message.always;
        serve();
        break;
      case 'stop':
        onStopOrder();
        break;
    }
  }

  return {
    dashboard: welcome,
    async stop(why) {
      clearInterval(ticking);
      await Promise.all([control.stop(), dashboard.stop()]);
      await Promise.all([
        traps?.stop(),
        membership
          .stop()
          .then(() => mesh?.stop())
          .then(() => hubPart.stop()),
      ]);
      over.abort();
      await pipeline.record([lifecycle(`the enforcer stopped (${why}); the kernel goes on enforcing`)]);
      await pipeline.settled();
      await notifier.stop();
      await store.stop();
      kernel.close();
      log.info('the enforcer stopped; the kernel goes on enforcing', { why });
    },
  };

  function lifecycle(summary: string): NewEvent {
    return { at: now(), kind: 'lifecycle', source: null, port: null, protocol: null, tier: null, reasons: [], origin: null, summary };
  }
}

function degradedEvent(complaint: Degraded, raised: boolean, at: UnixMs): NewEvent {
  const summary = raised ? `${complaint.part} is degraded: ${complaint.why}; ${complaint.fix}` : `${complaint.part} has recovered: ${complaint.why}`;
  return {
    at,
    kind: 'degraded',
    source: null,
    port: null,
    protocol: null,
    tier: null,
    reasons: [],
    origin: null,
    summary,
    detail: { part: complaint.part, raised },
  };
}
