/** What the packet filter reports, as sightings. All of it can be spoofed: tier E0, recorded, never a ban. */
import type { Sighting } from '@honeymesh/intel/sightings';
import { formatDuration } from '@honeymesh/intel/time';
import type { KernelEvent } from '../kernel/port.ts';

/** The sighting that a kernel event amounts to, or null for the kernel's own housekeeping (suspect, ban-hit, map-full, guard). */
export function sightingOf(event: KernelEvent): Sighting | null {
  switch (event.kind) {
    case 'touch':
      return { ...common(event), kind: 'touch', reasons: [], summary: `probed closed ${portText(event)}` };
    case 'scan':
      return { ...common(event), kind: 'scan', reasons: event.reasons, summary: `${scanText(event)}${shunText(event)}` };
    case 'flood':
      return { ...common(event), kind: 'flood', reasons: event.reasons, summary: `sent ${event.rate} ${floodText(event)} within a second${shunText(event)}` };
    default:
      return null;
  }
}

function common(event: KernelEvent): Pick<Sighting, 'at' | 'source' | 'tier' | 'origin' | 'port' | 'protocol' | 'detail'> {
  return {
    at: event.at,
    source: event.source,
    tier: 'E0',
    origin: 'kernel',
    port: event.port,
    protocol: event.protocol,
    detail: {
      fastPorts: event.fastPorts,
      slowPorts: event.slowPorts,
      verdict: event.verdict,
      ...(event.proven ? { proven: true } : {}),
      ...(event.shunMs > 0 ? { shunMs: event.shunMs } : {}),
    },
  };
}

const portText = (event: KernelEvent): string => `port ${event.port ?? '?'}/${event.protocol ?? '?'}`;

function scanText(event: KernelEvent): string {
  const ports = event.reasons.includes('slow-scan') ? event.slowPorts : event.fastPorts;
  return `${event.reasons.join(', ')}: ${ports} closed ports, ${portText(event)} the last`;
}

const floodText = (event: KernelEvent): string =>
  event.protocol === 'icmp' ? 'echo requests' : event.protocol === 'udp' ? 'datagrams to closed ports' : 'connection requests';

function shunText(event: KernelEvent): string {
  if (event.proven) return '; policed: it has completed handshakes here';
  return event.shunMs > 0 ? `; shunned for ${formatDuration(event.shunMs)}` : '';
}
