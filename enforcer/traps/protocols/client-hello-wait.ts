/** After a protocol's own "yes, TLS": waits for the ClientHello, notes whose it is, and hands it to the driver's TLS. */
import { readClientHello } from './client-hello.ts';
import { ja4 } from './ja4.ts';
import type { Observation } from './machine.ts';
import { MORE, type Step } from './machine-talk.ts';
import { fingerprint, malformed } from './observation.ts';

/** What `waiting`, all that came since TLS was agreed on, leads to. */
export function awaitClientHello(waiting: Buffer): Step {
  const hello = readClientHello(waiting);
  if (!hello.ok)
    return hello.why === 'truncated' ? MORE : { used: waiting.length, observations: [malformed('TLS was agreed on, no ClientHello followed')], close: true };
  const observations: Observation[] = [fingerprint('ja4', ja4(hello.value))];
  if (hello.value.serverName !== undefined) observations.push(fingerprint('sni', hello.value.serverName));
  return { used: 0, startTls: true, observations };
}
