/** From the words of the file to the units of the code. */
import type { ServedPorts } from '../kernel/port.ts';
import type { Config } from './config.ts';
import { type ConfigFile, configSchema } from './schema.ts';

/** The checked file in the units of the code. */
export function configOf(file: ConfigFile): Config {
  const { detect, bans } = file;
  return {
    ...(file.interfaces === undefined ? {} : { interfaces: [...new Set(file.interfaces)] }),
    mode: file.mode,
    allow: [...new Set(file.allow)],
    services: { served: servedPorts(file.services.ports), graceMs: file.services.grace },
    traps: { ports: file.traps.ports === 'off' ? [] : sorted(file.traps.ports) },
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
    store: { retentionMs: file.store.retention, segmentEvents: file.store.segment },
    log: file.log,
  };
}

function servedPorts(ranges: ConfigFile['services']['ports']): ServedPorts {
  const tcp: number[] = [];
  const udp: number[] = [];
  for (const { transport, low, high } of ranges) for (let port = low; port <= high; port++) (transport === 'tcp' ? tcp : udp).push(port);
  return { tcp: sorted(tcp), udp: sorted(udp) };
}

const sorted = (ports: readonly number[]): readonly number[] => [...new Set(ports)].sort((one, other) => one - other);

/** What holds where nobody wrote a file. */
export const defaultConfig: Config = configOf(configSchema.parse({}));
