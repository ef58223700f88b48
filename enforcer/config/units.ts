/** From the words of the file to the units of the code. */
import { formatDuration } from '@honeymesh/intel/time';
import type { ServedPorts } from '../kernel/port.ts';
import type { Config, HubConfig, MeshConfig } from './config.ts';
import type { PortRange } from './fields.ts';
import { placeText } from './mesh-fields.ts';
import { notifyFileOf, notifyOf, notifyWithoutSecrets } from './notify-fields.ts';
import { type ConfigFile, configSchema } from './schema.ts';

/** The checked file in the units of the code. */
export function configOf(file: ConfigFile): Config {
  const { detect, bans } = file;
  return {
    ...(file.interfaces === undefined ? {} : { interfaces: [...new Set(file.interfaces)] }),
    mode: file.mode,
    allow: [...new Set(file.allow)],
    services: { served: portsOf(file.services.ports), graceMs: file.services.grace },
    traps: {
      ports: trapPorts(file.traps.ports),
      patience: file.traps.patience,
      deadlineMs: file.traps.deadline,
      sessionMs: file.traps.session,
      sessions: file.traps.sessions,
      sessionsPerSource: file.traps.sessionsPerSource,
      study: { longestMs: file.traps.study.time, sessions: file.traps.study.sessions },
    },
    xdp: file.xdp,
    egress: file.egress,
    detect: {
      fast: { ports: detect.fast.ports, windowMs: detect.fast.window },
      slow: { ports: detect.slow.ports, windowMs: detect.slow.window },
      shun: { ttlMs: detect.shun.ttl, longestMs: detect.shun.longest },
      flood: { synPerSecond: detect.flood.syn, udpPerSecond: detect.flood.udp, echoPerSecond: detect.flood.echo, openUdpPerSecond: detect.flood.openUdp },
      newSourcesPerSecond: detect.newSources,
      eventsPerSecond: detect.events,
      provenMs: detect.proven,
    },
    bans: {
      capacity: bans.capacity,
      touchMs: bans.touch,
      contentMs: bans.content,
      longestMs: bans.longest,
      memoryMs: bans.memory,
      aggregateAt: bans.aggregate,
      widenAt: bans.widen,
    },
    share: { never: [...new Set(file.share.never)] },
    ...(file.mesh === undefined ? {} : { mesh: meshOf(file.mesh) }),
    ...(file.hub === undefined ? {} : { hub: hubOf(file.hub) }),
    ...(file.notify === undefined ? {} : { notify: notifyOf(file.notify) }),
    dashboard: dashboardOf(file.dashboard),
    store: { retentionMs: file.store.retention, segmentEvents: file.store.segment },
    log: file.log,
  };
}

function dashboardOf({ bind, names, certificate, key }: ConfigFile['dashboard']): Config['dashboard'] {
  return { bind, names, ...(certificate === undefined || key === undefined ? {} : { own: { certificate, key } }) };
}

/** What was not said stays absent: the state directory, or the host, has it. */
function meshOf({ advertise, key, name, site, signatures, ...all }: NonNullable<ConfigFile['mesh']>): MeshConfig {
  return {
    ...all,
    ...(advertise === undefined ? {} : { advertise }),
    ...(key === undefined ? {} : { key }),
    ...(name === undefined ? {} : { name }),
    ...(site === undefined ? {} : { site }),
    ...(signatures === undefined ? {} : { signatures }),
  };
}

function hubOf({ ca, ...all }: NonNullable<ConfigFile['hub']>): HubConfig {
  return { ...all, ...(ca === undefined ? {} : { ca }) };
}

function trapPorts(written: ConfigFile['traps']['ports']): Config['traps']['ports'] {
  if (written === 'typical' || written === 'all') return written;
  return portsOf(written === 'off' ? [] : written);
}

function portsOf(ranges: readonly PortRange[]): ServedPorts {
  const tcp: number[] = [];
  const udp: number[] = [];
  for (const { transport, low, high } of ranges) for (let port = low; port <= high; port++) (transport === 'tcp' ? tcp : udp).push(port);
  return { tcp: sorted(tcp), udp: sorted(udp) };
}

const sorted = (ports: readonly number[]): readonly number[] => [...new Set(ports)].sort((one, other) => one - other);

/** What holds where nobody wrote a file. */
export const defaultConfig: Config = configOf(configSchema.parse({}));

/** For whoever looks at it: keys, secrets and the addresses of hooks are not for terminals, tickets and logs. */
export function withoutSecrets(config: Config): Config {
  return {
    ...config,
    ...(config.mesh?.key === undefined ? {} : { mesh: { ...config.mesh, key: '(set, not shown)' } }),
    ...(config.notify === undefined ? {} : { notify: notifyWithoutSecrets(config.notify) }),
  };
}

/** The configuration in the words of the file: reading it again gives the same. */
export function fileOf(config: Config): Readonly<Record<string, unknown>> {
  const { detect, bans, traps } = config;
  const { fast, slow, shun, flood } = detect;
  return {
    ...(config.interfaces === undefined ? {} : { interfaces: config.interfaces }),
    mode: config.mode,
    allow: config.allow,
    services: {
      ports: listOf(config.services.served),
      grace: formatDuration(config.services.graceMs),
    },
    traps: {
      ports: typeof traps.ports === 'string' ? traps.ports : traps.ports.tcp.length + traps.ports.udp.length === 0 ? 'off' : listOf(traps.ports),
      patience: traps.patience,
      deadline: formatDuration(traps.deadlineMs),
      session: formatDuration(traps.sessionMs),
      sessions: traps.sessions,
      sessionsPerSource: traps.sessionsPerSource,
      study: { time: formatDuration(traps.study.longestMs), sessions: traps.study.sessions },
    },
    xdp: config.xdp,
    egress: config.egress,
    detect: {
      fast: { ports: fast.ports, window: formatDuration(fast.windowMs) },
      slow: { ports: slow.ports, window: formatDuration(slow.windowMs) },
      shun: { ttl: formatDuration(shun.ttlMs), longest: formatDuration(shun.longestMs) },
      flood: { syn: flood.synPerSecond, udp: flood.udpPerSecond, echo: flood.echoPerSecond, openUdp: flood.openUdpPerSecond },
      newSources: detect.newSourcesPerSecond,
      events: detect.eventsPerSecond,
      proven: formatDuration(detect.provenMs),
    },
    bans: {
      capacity: bans.capacity,
      touch: formatDuration(bans.touchMs),
      content: formatDuration(bans.contentMs),
      longest: formatDuration(bans.longestMs),
      memory: formatDuration(bans.memoryMs),
      aggregate: bans.aggregateAt,
      widen: bans.widenAt,
    },
    share: config.share,
    ...(config.mesh === undefined ? {} : { mesh: meshFileOf(config.mesh) }),
    ...(config.hub === undefined ? {} : { hub: { ...config.hub, endpoint: placeText(config.hub.endpoint) } }),
    ...(config.notify === undefined ? {} : { notify: notifyFileOf(config.notify, formatDuration) }),
    dashboard: { bind: config.dashboard.bind === 'off' ? 'off' : placeText(config.dashboard.bind), names: config.dashboard.names, ...config.dashboard.own },
    store: { retention: formatDuration(config.store.retentionMs), segment: config.store.segmentEvents },
    log: config.log,
  };
}

function meshFileOf(mesh: MeshConfig): Readonly<Record<string, unknown>> {
  const { bind, advertise, join, key, label, name, site, signatures, quorum, profile, registrar } = mesh;
  const all = {
    bind: placeText(bind),
    advertise: advertise === undefined ? undefined : placeText(advertise),
    join: join.map(placeText),
    key,
    label,
    name,
    site,
    signatures,
    quorum,
    profile,
    registrar: placeText(registrar),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const listOf = ({ tcp, udp }: ServedPorts): (number | string)[] => [...portTexts(tcp, ''), ...portTexts(udp, '/udp')];

/** Sorted ports as the fewest entries: runs become ranges. */
function portTexts(ports: readonly number[], suffix: string): (number | string)[] {
  const texts: (number | string)[] = [];
  for (let from = 0; from < ports.length; ) {
    let to = from;
    while (ports[to + 1] === (ports[to] ?? 0) + 1) to++;
    const [low, high] = [ports[from] ?? 0, ports[to] ?? 0];
    if (low === high) texts.push(suffix === '' ? low : `${low}${suffix}`);
    else texts.push(`${low}-${high}${suffix}`);
    from = to + 1;
  }
  return texts;
}
