/** PostgreSQL: takes the start-up message, asks for the password in clear text (what logs the most), refuses it in the server's words. */

import { ByteReader, bytesOf, latin1, u32 } from './bytes.ts';
import { awaitClientHello } from './client-hello-wait.ts';
import type { TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { credentials, malformed, request } from './observation.ts';

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const LONGEST_STARTUP = 10_000; // MAX_STARTUP_PACKET_LENGTH of the server
const LONGEST_PASSWORD = 16_384;
const MOST_PARAMETERS = 32;
const AUTHENTICATION_CLEAR_TEXT = 3;
const LONGEST_NAME_TOLD = 63; // NAMEDATALEN - 1: the server itself cuts here

/** Where in its source the server found the error: it tells so, and nmap knows releases by it. Of each major version the last that is known. */
const SOURCE_LINES: Readonly<Record<string, { readonly unsupported: number; readonly noUser: number; readonly authFailed: number }>> = {
  '10': { unsupported: 2099, noUser: 2250, authFailed: 328 },
  '13': { unsupported: 2133, noUser: 2275, authFailed: 347 },
  '14': { unsupported: 2138, noUser: 2281, authFailed: 326 },
  '15': { unsupported: 2194, noUser: 2337, authFailed: 326 },
  '16': { unsupported: 2198, noUser: 2341, authFailed: 324 },
};

type Phase = 'start' | 'awaits-client-hello' | 'awaits-password';

export const postgresql: TrapProtocol = {
  name: 'postgresql',
  ports: [5432, 5433],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    if (first.length < 8) return first[0] === 0 && first[1] === 0 ? 'maybe' : 'no';
    const reader = new ByteReader(first);
    const length = reader.u32();
    const code = reader.u32();
    const known = code === SSL_REQUEST || code === GSS_REQUEST || code === CANCEL_REQUEST || code >>> 16 === 3;
    return known && length >= 8 && length <= LONGEST_STARTUP ? 'yes' : 'no';
  },
};

function createTalk(context: TrapContext): Talk {
  const major = context.persona.versions.postgresql.split('.', 1)[0] ?? '';
  const lines = SOURCE_LINES[major] ?? { unsupported: 2138, noUser: 2281, authFailed: 326 };
  const oldest = Number(major) >= 14 ? '3.0' : '2.0';
  let phase: Phase = 'start';
  let secured = false;
  let user = '';

  function next(waiting: Buffer): Step {
    if (phase === 'awaits-client-hello') return awaitClientHello(waiting);
    if (phase === 'awaits-password') return nextPassword(waiting);
    if (waiting.length < 4) return MORE;
    const length = waiting.readUInt32BE(0);
    // The server logs a bad length and closes without a word.
    if (length < 8 || length > LONGEST_STARTUP) return { used: waiting.length, observations: [malformed('no start-up message')], close: true };
    if (waiting.length < length) return MORE;
    return { used: length, ...start(waiting.readUInt32BE(4), waiting.subarray(8, length)) };
  }

  function start(code: number, body: Uint8Array): Omit<Step, 'used'> {
    if (code === SSL_REQUEST) {
      if (!context.tls || secured) return { send: bytesOf('N') };
      phase = 'awaits-client-hello';
      return { send: bytesOf('S') };
    }
    if (code === GSS_REQUEST) return { send: bytesOf('N') };
    if (code === CANCEL_REQUEST) return { observations: [request('cancel', '', [])], close: true };
    const [majorVersion, minorVersion] = [code >>> 16, code & 0xffff];
    if (majorVersion !== 3) {
      const message = `unsupported frontend protocol ${majorVersion}.${minorVersion}: server supports ${oldest} to 3.0`;
      return {
        send: fatal('0A000', message, 'postmaster.c', lines.unsupported, 'ProcessStartupPacket'),
        observations: [malformed('unsupported protocol version')],
        close: true,
      };
    }
    const parameters = parametersOf(body);
    user = parameters.find(([name]) => name === 'user')?.[1] ?? '';
    const observations = [request('startup', parameters.find(([name]) => name === 'database')?.[1] ?? user, parameters)];
    if (user === '') {
      return {
        send: fatal('28000', 'no PostgreSQL user name specified in startup packet', 'postmaster.c', lines.noUser, 'ProcessStartupPacket'),
        observations,
        close: true,
      };
    }
    phase = 'awaits-password';
    return { send: bytesOf(minorVersion > 0 ? negotiation(parameters) : [], 'R', u32(8), u32(AUTHENTICATION_CLEAR_TEXT)), observations };
  }

  function nextPassword(waiting: Buffer): Step {
    if (waiting.length < 5) return MORE;
    const length = waiting.readUInt32BE(1);
    if (waiting[0] !== 0x70 || length < 4 || length > LONGEST_PASSWORD) {
      const message = `expected password response, got message type ${waiting[0]}`;
      return {
        used: waiting.length,
        send: fatal('08P01', message, 'auth.c', lines.authFailed + 400, 'recv_password_packet'),
        observations: [malformed('no password message')],
        close: true,
      };
    }
    if (waiting.length < 1 + length) return MORE;
    const body = waiting.subarray(5, 1 + length);
    const password = latin1(body.at(-1) === 0 ? body.subarray(0, -1) : body);
    const message = `password authentication failed for user "${user.slice(0, LONGEST_NAME_TOLD)}"`;
    return {
      used: 1 + length,
      send: fatal('28P01', message, 'auth.c', lines.authFailed, 'auth_failed'),
      observations: [credentials(user, password)],
      close: true,
    };
  }

  return {
    protocol: 'postgresql',
    longestMessage: LONGEST_PASSWORD + 1 + 4,
    next,
    secured() {
      secured = true;
      phase = 'start';
      return { used: 0 };
    },
  };
}

function parametersOf(body: Uint8Array): [string, string][] {
  const reader = new ByteReader(body);
  const parameters: [string, string][] = [];
  while (reader.left > 1 && parameters.length < MOST_PARAMETERS) {
    const name = latin1(reader.untilNul());
    const value = latin1(reader.untilNul());
    if (reader.truncated || name === '') break;
    parameters.push([name, value]);
  }
  return parameters;
}

/** NegotiateProtocolVersion: we speak 3.0 and none of the protocol's options. */
function negotiation(parameters: readonly (readonly [string, string])[]): Uint8Array {
  const unknown = parameters.map(([name]) => name).filter(name => name.startsWith('_pq_.'));
  const names = bytesOf(...unknown.flatMap(name => [name.slice(0, 64), 0]));
  return bytesOf('v', u32(12 + names.length), u32(0x30000), u32(unknown.length), names);
}

/** ErrorResponse with the fields that the server fills. */
function fatal(code: string, message: string, file: string, line: number, routine: string): Uint8Array {
  const fields = bytesOf('SFATAL\0VFATAL\0C', code, 0, 'M', message, 0, 'F', file, 0, 'L', String(line), 0, 'R', routine, 0, 0);
  return bytesOf('E', u32(4 + fields.length), fields);
}
