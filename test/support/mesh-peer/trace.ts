/** Events of `-trace`: each datagram and each half of a stream, taken apart, before it has its effect. */
import type { Envelope } from '#enforcer/mesh/node/envelope.ts';
import { textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import { type Endpoint, placeOf } from '#enforcer/mesh/protocol/core/endpoint.ts';
import { type Cover, dissectDatagram, dissectStream } from './dissect.ts';
import type { Say } from './report.ts';

export interface Trace {
  wrap(envelope: Envelope): Envelope;
  sent(bytes: Uint8Array, to: Endpoint): void;
}

/** What a stream may hold, and a little. */
const MOST_KEPT = 32 * 1024 * 1024;

export function createTrace(cover: Cover, say: Say): Trace {
  return {
    sent: (bytes, to) => say('tx', { to: textOfEndpoint(to), ...dissectDatagram(bytes, cover) }),
    wrap: envelope => ({
      ...envelope,
      openDatagram(bytes, source) {
        say('rx', { from: textOf(source), ...dissectDatagram(bytes, cover) });
        return envelope.openDatagram(bytes, source);
      },
      sealStream(message, role, to) {
        const bytes = envelope.sealStream(message, role, to);
        say('stream', { dir: 'out', role, peer: textOfEndpoint(to), ...dissectStream(bytes, cover) });
        return bytes;
      },
      streamReader(role, source) {
        const reader = envelope.streamReader(role, source);
        const chunks: Uint8Array[] = [];
        let kept = 0;
        let told = false;
        const once = (reading: ReturnType<typeof reader.push>): typeof reading => {
          if (told || reading.state === 'more') return reading;
          told = true;
          say('stream', { dir: 'in', role, peer: textOf(source), ...dissectStream(Buffer.concat(chunks.splice(0)), cover) });
          return reading;
        };
        return {
          push(chunk) {
            if (!told && kept < MOST_KEPT) chunks.push(chunk);
            kept += chunk.length;
            return once(reader.push(chunk));
          },
          end: () => once(reader.end()),
          get heldBytes() {
            return reader.heldBytes;
          },
        };
      },
    }),
  };
}

/** The driver names sources as `placeOf` does; a connection's port is not told there: it is nobody's. */
function textOf(place: string): string {
  const [address = '', port = '0'] = place.split(':');
  const bytes = Uint8Array.from(address.split('.').map(Number));
  if (bytes.length !== 4 && bytes.length !== 16) return place;
  const endpoint = { address: bytes, port: Number(port) };
  return placeOf(endpoint) === place ? textOfEndpoint(endpoint) : place;
}
