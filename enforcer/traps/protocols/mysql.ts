/** MySQL and MariaDB: greets first, takes a log-in by any plugin, refuses it in the server's words. */

import { hex, latin1 } from './bytes.ts';
import { awaitClientHello } from './client-hello-wait.ts';
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import {
  authSwitchPacket,
  CACHING_SHA2,
  type ClientFirst,
  errorPacket,
  fullAuthenticationPacket,
  greetingPacket,
  NATIVE_PASSWORD,
  parseClientFirst,
  SCRAMBLE_BYTES,
} from './mysql-packets.ts';
import { credentials, fingerprint, malformed, request } from './observation.ts';

const HEADER_BYTES = 4;
const LONGEST_PACKET = 8192;
const LONGEST_NAME_TOLD = 128;

type Phase = 'greeted' | 'awaits-client-hello' | 'awaits-switched-answer' | 'awaits-clear-password';

export const mysql: TrapProtocol = {
  name: 'mysql',
  ports: [3306, 3307, 33060],
  create: context => createMachine(createTalk(context), context.limits),
};

function createTalk(context: TrapContext): Talk {
  const { persona } = context;
  const flavour = persona.software.mysql;
  const plugin = flavour === 'mysql' ? CACHING_SHA2 : NATIVE_PASSWORD;
  const scramble = scrambleFrom(context.random);
  let phase: Phase = 'greeted';
  let secured = false;
  let user = '';

  function greet(): Step {
    const version = (flavour === 'mysql' ? persona.versions.mysql : null) ?? persona.versions.mariadb;
    return { used: 0, send: greetingPacket({ version, flavour, connectionId: connectionIdOf(context), scramble, plugin, tls: context.tls }) };
  }

  function next(waiting: Buffer): Step {
    if (phase === 'awaits-client-hello') return awaitClientHello(waiting);
    if (waiting.length < HEADER_BYTES) return MORE;
    const length = waiting.readUIntLE(0, 3);
    const sequence = (waiting[3] ?? 0) + 1;
    if (length > LONGEST_PACKET) return outOfOrder(waiting.length, sequence);
    const used = HEADER_BYTES + length;
    if (waiting.length < used) return MORE;
    const body = waiting.subarray(HEADER_BYTES, used);
    if (phase !== 'greeted') return { used, ...judge(body, sequence) };
    const first = parseClientFirst(body);
    if (!first.ok) return outOfOrder(used, sequence);
    if (first.value.kind === 'login') return { used, ...login(first.value, sequence) };
    if (!context.tls || secured) return outOfOrder(used, sequence);
    phase = 'awaits-client-hello';
    return { used };
  }

  function login(first: Extract<ClientFirst, { kind: 'login' }>, sequence: number): Omit<Step, 'used'> {
    user = first.user;
    const observations: Observation[] = [];
    if (first.attributes.length > 0) observations.push(request('connect', first.database ?? '', first.attributes));
    else if (first.database !== undefined) observations.push(request('connect', first.database, []));
    if (first.plugin !== undefined) observations.push(fingerprint('mysql-auth-plugin', first.plugin));
    if (first.plugin !== undefined && first.plugin !== plugin) {
      phase = 'awaits-switched-answer';
      return { send: authSwitchPacket(sequence, plugin, scramble), observations };
    }
    const outcome = judge(first.answer, sequence);
    return { ...outcome, observations: [...observations, ...(outcome.observations ?? [])] };
  }

  function judge(answer: Uint8Array, sequence: number): Omit<Step, 'used'> {
    if (phase === 'awaits-clear-password') {
      const password = latin1(answer.at(-1) === 0 ? answer.subarray(0, -1) : answer);
      return denied(sequence, password !== '', credentials(user, password));
    }
    // No hash of anyone is ever in memory here: inside TLS the real server then asks for the password itself, and gets it.
    if (plugin === CACHING_SHA2 && secured && answer.length > 1) {
      phase = 'awaits-clear-password';
      return { send: fullAuthenticationPacket(sequence) };
    }
    const empty = answer.length === 0 || (answer.length === 1 && answer[0] === 0);
    if (empty) return denied(sequence, false, credentials(user, ''));
    return denied(
      sequence,
      true,
      credentials(user, `${hex(scramble)}*${hex(answer)}`, answer.length === 8 ? 'mysql-old-password' : plugin.replaceAll('_', '-')),
    );
  }

  function denied(sequence: number, usingPassword: boolean, tried: Observation): Omit<Step, 'used'> {
    const who = `'${user.slice(0, LONGEST_NAME_TOLD)}'@'${context.source}'`;
    const send = errorPacket(sequence, 1045, '28000', `Access denied for user ${who} (using password: ${usingPassword ? 'YES' : 'NO'})`);
    return { send, observations: [tried], close: true };
  }

  return {
    protocol: 'mysql',
    longestMessage: Math.max(HEADER_BYTES + LONGEST_PACKET, 16_384 + 5),
    greet,
    next,
    secured() {
      secured = true;
      phase = 'greeted';
      return { used: 0 };
    },
  };
}

function outOfOrder(used: number, sequence: number): Step {
  return { used, send: errorPacket(sequence, 1156, '08S01', 'Got packets out of order'), observations: [malformed('no MySQL handshake')], close: true };
}

/** As the server draws it: printable, without NUL and without the dollar that separates hashes in its tables. */
function scrambleFrom(random: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: SCRAMBLE_BYTES }, (_, at) => {
    const drawn = 33 + ((random[at % random.length] ?? 0) % 93);
    return drawn === 0x24 ? 126 : drawn;
  });
}

/** Grows with time as a server's count of connections does, and stays below 2^24, which nmap's expressions expect. */
function connectionIdOf({ acceptedAt, persona }: TrapContext): number {
  return (persona.between('mysql connections', 100, 20_000) + Math.floor(acceptedAt / 9_000)) % 4_000_000;
}
