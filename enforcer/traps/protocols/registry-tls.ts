/** Ports that begin with TLS: notes whose ClientHello it is, leaves the handshake to the driver, and plays inside what the port is known for. */
import { readClientHello } from './client-hello.ts';
import { awaitClientHello } from './client-hello-wait.ts';
import { createDockerTrap } from './docker.ts';
import { createHttpTrap } from './http.ts';
import { createKubeletTrap, createKubernetesTrap } from './kubernetes.ts';
import { ldap } from './ldap.ts';
import { bytesOf } from './lines.ts';
import type { Outcome, ProtocolFactory, Recognition, TrapContext, TrapMachine, TrapProtocol } from './machine.ts';
import { createMachine, type Step } from './machine-talk.ts';
import { malformed, payload } from './observation.ts';
import { TEXT_INSIDE_TLS } from './registry-text.ts';

const LONGEST_HELLO = 16 * 1024;
const HANDSHAKE = 0x16;
const HANDSHAKE_FAILURE = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40); // alert, fatal (RFC 8446, 6.2)
const GO_REFUSAL = 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n';
const INSIDE: ReadonlyMap<number, ProtocolFactory> = new Map([...TEXT_INSIDE_TLS, [636, ldap.create]]);
const WRITTEN_IN_GO: ReadonlySet<ProtocolFactory> = new Set([createKubernetesTrap, createKubeletTrap, createDockerTrap]);

/** The machine of one connection. Inside TLS it is that of the port, and a web server's on a port without one. */
function createTlsTrap(context: TrapContext): TrapMachine {
  const create = INSIDE.get(context.port) ?? createHttpTrap;
  const outer = createMachine({ protocol: 'tls', longestMessage: LONGEST_HELLO, next: hello }, context.limits);
  let inner: TrapMachine | undefined;

  function hello(waiting: Buffer): Step {
    if (waiting[0] !== HANDSHAKE) return notTls(waiting);
    const step = awaitClientHello(waiting);
    if (step.startTls === undefined || context.tls) return step;
    return { used: waiting.length, observations: step.observations ?? [], send: HANDSHAKE_FAILURE, close: true };
  }

  /** Who speaks HTTP at a port of HTTPS is told so; other servers hang up. */
  function notTls(waiting: Buffer): Step {
    const observations = [malformed('clear text where TLS is spoken'), payload('clear', waiting.toString('latin1'))];
    const speaksHttp = /^[A-Z]{3,8} /.test(waiting.toString('latin1', 0, 16));
    const send = !speaksHttp ? undefined : create === createHttpTrap ? refusalOf(context) : WRITTEN_IN_GO.has(create) ? bytesOf(GO_REFUSAL) : undefined;
    return { used: waiting.length, observations, close: true, ...(send === undefined ? {} : { send }) };
  }

  const active = (): TrapMachine => inner ?? outer;
  return {
    get protocol() {
      if (inner === undefined) return 'tls';
      return inner.protocol === 'http' ? 'https' : `${inner.protocol}-tls`;
    },
    open: nowMs => outer.open(nowMs),
    receive: (bytes, nowMs) => active().receive(bytes, nowMs),
    expire: nowMs => active().expire(nowMs),
    secured(nowMs): Outcome {
      if (inner !== undefined) return inner.secured?.(nowMs) ?? { observations: [], wakeAtMs: 'never', close: true };
      // There is TLS already: what is inside must not offer it again.
      inner = create({ ...context, tls: false });
      return inner.open(nowMs);
    },
  };
}

/** The persona's web server's own page for what is no request. */
function refusalOf(context: TrapContext): Uint8Array | undefined {
  const web = createHttpTrap(context);
  web.open(0);
  return web.receive(Uint8Array.of(HANDSHAKE), 0).send;
}

function recogniseTls(first: Uint8Array): Recognition {
  if (first[0] !== HANDSHAKE) return 'no';
  const parsed = readClientHello(first);
  if (parsed.ok) return 'yes';
  return parsed.why === 'truncated' ? 'maybe' : 'no';
}

export const TLS_PROTOCOLS: readonly TrapProtocol[] = [{ name: 'tls', ports: [...INSIDE.keys()], create: createTlsTrap, recognise: recogniseTls }];
