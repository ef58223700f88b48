/** SOCKS 4, 4a and 5 (RFC 1928, 1929): an open proxy that connects to nothing. What is sent through it is what the visitor came for. */
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, credentials, malformed, payload } from './observation.ts';

const LONGEST_REQUEST = 1024;
const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const NO_ACCEPTABLE = 0xff;
const GRANTED_4 = Uint8Array.of(0, 0x5a, 0, 0, 0, 0, 0, 0);
const COMMANDS: Readonly<Record<number, string>> = { 1: 'CONNECT', 2: 'BIND', 3: 'UDP ASSOCIATE' };
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 1: 4, 4: 16 };

type Phase = 'methods' | 'password' | 'request' | 'through';

/** The machine of one connection. */
export function createSocksTrap(context: TrapContext): TrapMachine {
  let phase: Phase = 'methods';
  let wanted = '';

  const broken = (waiting: Buffer, why: string, send?: Uint8Array): Step => ({
    used: waiting.length,
    observations: [malformed(why)],
    close: true,
    ...(send === undefined ? {} : { send }),
  });

  function methods(waiting: Buffer): Step {
    const count = waiting[1];
    if (count === undefined || waiting.length < 2 + count) return MORE;
    const offered = waiting.subarray(2, 2 + count);
    // Like danted with "socksmethod: username none": the first of ours that is offered.
    const method = offered.includes(USER_AND_PASSWORD) ? USER_AND_PASSWORD : offered.includes(NO_AUTHENTICATION) ? NO_AUTHENTICATION : NO_ACCEPTABLE;
    phase = method === USER_AND_PASSWORD ? 'password' : 'request';
    return { used: 2 + count, send: Uint8Array.of(5, method), close: method === NO_ACCEPTABLE };
  }

  function password(waiting: Buffer): Step {
    if (waiting[0] !== 1) return broken(waiting, 'not a password request');
    const userBytes = waiting[1] ?? 0;
    const secretBytes = waiting[2 + userBytes];
    if (waiting.length < 2 || secretBytes === undefined || waiting.length < 3 + userBytes + secretBytes) return MORE;
    const tried = credentials(waiting.toString('latin1', 2, 2 + userBytes), waiting.toString('latin1', 3 + userBytes, 3 + userBytes + secretBytes));
    return { used: 3 + userBytes + secretBytes, send: Uint8Array.of(1, 1), observations: [tried], close: true };
  }

  function request5(waiting: Buffer): Step {
    if (waiting.length < 5) return MORE;
    if (waiting[0] !== 5) return broken(waiting, 'not a SOCKS request');
    const kind = waiting[3] ?? 0;
    const domain = kind === 3;
    const size = domain ? (waiting[4] ?? 0) : ADDRESS_BYTES[kind];
    if (size === undefined) return broken(waiting, 'unknown address type', reply5(8));
    const start = domain ? 5 : 4;
    if (waiting.length < start + size + 2) return MORE;
    const address = waiting.subarray(start, start + size);
    const host = domain ? address.toString('latin1') : addressText(address);
    return connect(COMMANDS[waiting[1] ?? 0], host, waiting.readUInt16BE(start + size), start + size + 2, reply5(0), reply5(7));
  }

  /** VN CD DSTPORT DSTIP USERID NUL, with 0.0.0.x a name and NUL more (4a). */
  function request4(waiting: Buffer): Step {
    if (waiting.length < 9) return MORE;
    const userEnd = waiting.indexOf(0, 8);
    if (userEnd < 0) return MORE;
    const named = waiting[4] === 0 && waiting[5] === 0 && waiting[6] === 0 && waiting[7] !== 0;
    const nameEnd = named ? waiting.indexOf(0, userEnd + 1) : userEnd;
    if (nameEnd < 0) return MORE;
    const host = named ? waiting.toString('latin1', userEnd + 1, nameEnd) : addressText(waiting.subarray(4, 8));
    const user = waiting.toString('latin1', 8, userEnd);
    const step = connect(COMMANDS[waiting[1] ?? 0], host, waiting.readUInt16BE(2), nameEnd + 1, GRANTED_4, Uint8Array.of(0, 0x5b, 0, 0, 0, 0, 0, 0));
    return user === '' ? step : { ...step, observations: [...(step.observations ?? []), credentials(user, '', 'ident')] };
  }

  function connect(verb: string | undefined, host: string, port: number, used: number, granted: Uint8Array, refused: Uint8Array): Step {
    const seen: Observation[] = [command(`${verb ?? 'unknown'} ${host}:${port}`)];
    if (verb !== 'CONNECT') return { used, send: refused, observations: seen, close: true };
    phase = 'through';
    wanted = `${host}:${port}`;
    return { used, send: granted, observations: seen };
  }

  return createMachine(
    {
      protocol: 'socks',
      longestMessage: LONGEST_REQUEST,
      next(waiting) {
        switch (phase) {
          case 'methods':
            if (waiting[0] === 4) return request4(waiting);
            return waiting[0] === 5 ? methods(waiting) : broken(waiting, 'not SOCKS');
          case 'password':
            return password(waiting);
          case 'request':
            return request5(waiting);
          case 'through':
            return { used: waiting.length, observations: [payload(`to ${wanted}`, waiting.toString('latin1'))] };
        }
      },
    },
    context.limits,
  );
}

const reply5 = (code: number): Uint8Array => Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0);

function addressText(address: Buffer): string {
  if (address.length === 4) return [...address].join('.');
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  return `[${groups.join(':')}]`;
}
