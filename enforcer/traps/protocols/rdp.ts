/** Remote desktop as xrdp serves it, without network level authentication: name in the cookie, TLS where it is asked for, the log-in in clear inside. */
import { awaitClientHello } from './client-hello-wait.ts';
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { credentials, fingerprint, malformed, request } from './observation.ts';
import {
  attachUserConfirm,
  channelJoinConfirm,
  connectionConfirm,
  connectResponse,
  disconnectUltimatum,
  type McsRequest,
  PROTOCOL_RDP,
  PROTOCOL_TLS,
  parseClientInfo,
  parseConnectionRequest,
  parseMcs,
  TPKT_HEADER_BYTES,
  TPKT_VERSION,
  X224_CONNECTION_REQUEST,
  X224_DATA,
} from './rdp-packets.ts';

const LONGEST_MESSAGE = 8192;
const LONGEST_RECORD = 16_384 + 5; // a ClientHello may take a whole record

export const rdp: TrapProtocol = {
  name: 'rdp',
  ports: [3389, 3388],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    if (first[0] !== TPKT_VERSION || (first[1] ?? 0) !== 0) return 'no';
    if (first.length < 6) return 'maybe';
    return first[5] === X224_CONNECTION_REQUEST ? 'yes' : 'no';
  },
};

function createTalk({ tls }: TrapContext): Talk {
  let phase: 'request' | 'awaits-client-hello' | 'session' = 'request';
  let requested = PROTOCOL_RDP;

  function next(waiting: Buffer): Step {
    if (phase === 'awaits-client-hello') return awaitClientHello(waiting);
    if (waiting[0] !== TPKT_VERSION) return { used: waiting.length, observations: [malformed('no TPKT packet')], close: true };
    if (waiting.length < TPKT_HEADER_BYTES) return MORE;
    const length = waiting.readUInt16BE(2);
    if (length < TPKT_HEADER_BYTES + 3 || length > LONGEST_MESSAGE) return { used: waiting.length, observations: [malformed('no TPKT packet')], close: true };
    if (waiting.length < length) return MORE;
    const body = waiting.subarray(TPKT_HEADER_BYTES, length);
    return { used: length, ...(phase === 'request' ? connect(body) : session(body)) };
  }

  function connect(body: Uint8Array): Omit<Step, 'used'> {
    if (body[1] !== X224_CONNECTION_REQUEST) return { observations: [malformed('no connection request')], close: true };
    const { cookie, protocols } = parseConnectionRequest(body);
    const observations: Observation[] = [];
    if (cookie !== undefined) observations.push(request('connect', cookie, []));
    if (protocols !== undefined) observations.push(fingerprint('rdp-protocols', protocols.toString(16)));
    requested = protocols ?? PROTOCOL_RDP;
    const withTls = tls && (requested & PROTOCOL_TLS) !== 0;
    phase = withTls ? 'awaits-client-hello' : 'session';
    return { send: connectionConfirm(protocols === undefined ? undefined : withTls ? PROTOCOL_TLS : PROTOCOL_RDP), observations };
  }

  function session(body: Uint8Array): Omit<Step, 'used'> {
    const message = body[1] === X224_DATA ? parseMcs(body.subarray(3)) : undefined;
    if (message === undefined || !message.ok) return { observations: [malformed('no MCS message')], close: true };
    return answer(message.value);
  }

  function answer(message: McsRequest): Omit<Step, 'used'> {
    switch (message.kind) {
      case 'connect': {
        const { clientName, clientBuild, channels } = message;
        const observations = [fingerprint('rdp-client', `${clientName} build ${clientBuild} channels ${channels.join(',')}`)];
        return { send: connectResponse(channels.length, requested), observations };
      }
      case 'erect-domain':
        return {};
      case 'attach-user':
        return { send: attachUserConfirm() };
      case 'join':
        return { send: channelJoinConfirm(message.channel) };
      case 'disconnect':
        return { close: true };
      case 'data': {
        const login = parseClientInfo(message.content);
        if (!login.ok) return { send: disconnectUltimatum(), observations: [malformed('no log-in where it was due')], close: true };
        const { domain, user, password, shell } = login.value;
        const account = domain === '' ? user : `${domain}\\${user}`;
        const observations = [credentials(account, password), ...(shell === '' ? [] : [request('shell', shell, [])])];
        return { send: disconnectUltimatum(), observations, close: true };
      }
    }
  }

  return {
    protocol: 'rdp',
    longestMessage: LONGEST_RECORD,
    next,
    secured() {
      phase = 'session';
      return { used: 0 };
    },
  };
}
