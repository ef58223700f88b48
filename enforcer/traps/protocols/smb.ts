/** SMB as Samba serves it: refuses SMB 1, negotiates 2 and 3, challenges by NTLM, and takes what the client answers. */
import { hex, latin1, sameBytes, u64le } from './bytes.ts';
import type { Observation, TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { fileTimeOf, NTLM_SIGNATURE, type NtlmMessage, ntlmChallenge, readNtlm } from './ntlm.ts';
import { command, credentials, fingerprint, malformed, payload, request } from './observation.ts';
import {
  ACCESS_DENIED,
  ANSWERS_SMB1,
  bestDialect,
  INVALID_PARAMETER,
  LOGON_FAILURE,
  negotiated,
  parseSmb2,
  SMB1_MARK,
  SMB1_NEGOTIATE,
  SMB2_ECHO,
  SMB2_LOGOFF,
  SMB2_MARK,
  SMB2_NEGOTIATE,
  SMB2_SESSION_SETUP,
  SMB2_WILDCARD,
  type Smb2Host,
  type Smb2Request,
  sessionSetupContinues,
  sessionSetupToken,
  smb1Dialects,
  smb1Refusal,
  smb2Dialects,
  smb2Error,
  smb2Response,
  spnegoChallenge,
  USER_SESSION_DELETED,
} from './smb-packets.ts';

const SESSION_MESSAGE = 0x00;
const SESSION_REQUEST = 0x81;
const SESSION_KEEP_ALIVE = 0x85;
const POSITIVE_SESSION_RESPONSE = Uint8Array.of(0x82, 0, 0, 0);
const LONGEST_MESSAGE = 16_384;

export const smb: TrapProtocol = {
  name: 'smb',
  ports: [139, 445],
  create: context => createMachine(createTalk(context), context.limits),
  recognise(first) {
    if (first[0] !== 0 || (first[1] ?? 0) !== 0) return 'no';
    if (first.length < 8) return first.length <= 4 ? 'maybe' : first[4] === SMB1_MARK || first[4] === SMB2_MARK ? 'maybe' : 'no';
    return (first[4] === SMB1_MARK || first[4] === SMB2_MARK) && latin1(first.subarray(5, 8)) === 'SMB' ? 'yes' : 'no';
  },
};

function createTalk({ persona, random, acceptedAt }: TrapContext): Talk {
  const fileTime = fileTimeOf(acceptedAt);
  const challenge = random.subarray(0, 8);
  const sessionId = u64le(BigInt(((random[8] ?? 0) << 24) | ((random[9] ?? 0) << 16) | ((random[10] ?? 0) << 8) | 1) & 0xffff_ffffn);
  const guid = new Uint8Array(16);
  guid.set(Buffer.from(persona.hostName.slice(0, 15), 'latin1')); // Samba's GUID is its NetBIOS name
  const host: Smb2Host = { guid, fileTime, salt: random.subarray(0, 32) };

  function next(waiting: Buffer): Step {
    if (waiting.length < 4) return MORE;
    const type = waiting[0];
    const length = waiting.readUIntBE(1, 3);
    const used = 4 + length;
    if (length > LONGEST_MESSAGE || (type !== SESSION_MESSAGE && type !== SESSION_REQUEST && type !== SESSION_KEEP_ALIVE)) {
      return { used: waiting.length, observations: [malformed('no NetBIOS session message')], close: true };
    }
    if (waiting.length < used) return MORE;
    if (type === SESSION_KEEP_ALIVE) return { used };
    if (type === SESSION_REQUEST) return { used, send: POSITIVE_SESSION_RESPONSE };
    return { used, ...answer(waiting.subarray(4, used)) };
  }

  function answer(message: Uint8Array): Omit<Step, 'used'> {
    if (message[0] === SMB1_MARK && message[4] === SMB1_NEGOTIATE) return negotiateFromSmb1(message);
    const request = parseSmb2(message);
    if (!request.ok) return { observations: [malformed('no SMB message')], close: true };
    switch (request.value.command) {
      case SMB2_NEGOTIATE:
        return negotiate(request.value);
      case SMB2_SESSION_SETUP:
        return sessionSetup(request.value);
      case SMB2_ECHO:
      case SMB2_LOGOFF:
        return { send: smb2Response(request.value, 0, request.value.sessionId, [4, 0, 0, 0]) };
      default:
        return { send: smb2Error(request.value, USER_SESSION_DELETED), observations: [command(`smb2 command ${request.value.command} without a session`)] };
    }
  }

  function negotiateFromSmb1(message: Uint8Array): Omit<Step, 'used'> {
    const dialects = smb1Dialects(message);
    const observations = [fingerprint('smb-dialects', dialects.join(','))];
    if (dialects.includes('SMB 2.???')) return { send: negotiated(ANSWERS_SMB1, SMB2_WILDCARD, host), observations };
    if (dialects.includes('SMB 2.002')) return { send: negotiated(ANSWERS_SMB1, 0x0202, host), observations };
    return { send: smb1Refusal(message), observations, close: true };
  }

  function negotiate(request: Smb2Request): Omit<Step, 'used'> {
    const offered = smb2Dialects(request.body);
    const observations = [fingerprint('smb-dialects', offered.map(dialect => dialect.toString(16).padStart(4, '0')).join(','))];
    const dialect = bestDialect(offered);
    return { send: dialect === undefined ? smb2Error(request, INVALID_PARAMETER) : negotiated(request, dialect, host), observations };
  }

  function sessionSetup(request: Smb2Request): Omit<Step, 'used'> {
    const token = sessionSetupToken(request.body);
    const ntlm = readNtlm(token);
    if (!ntlm.ok) return { send: smb2Error(request, LOGON_FAILURE), observations: [malformed('a session set-up without NTLM')] };
    if (ntlm.value.kind === 'negotiate') {
      const reply = ntlmChallenge({ challenge, hostName: persona.hostName, domain: persona.domain, fileTime });
      const bare = sameBytes(token.subarray(0, 8), Buffer.from(NTLM_SIGNATURE, 'latin1'));
      return { send: sessionSetupContinues(request, sessionId, bare ? reply : spnegoChallenge(reply)) };
    }
    const anonymous = ntlm.value.user === '' && ntlm.value.ntResponse.length === 0;
    return { send: smb2Error(request, anonymous ? ACCESS_DENIED : LOGON_FAILURE), observations: seen(ntlm.value, challenge) };
  }

  return { protocol: 'smb', longestMessage: LONGEST_MESSAGE + 4, next };
}

/** The proof as credentials, and all of the answer, in the form that password crackers read. */
function seen({ domain, user, workstation, lmResponse, ntResponse }: Extract<NtlmMessage, { kind: 'authenticate' }>, challenge: Uint8Array): Observation[] {
  const account = domain === '' ? user : `${domain}\\${user}`;
  const client = request('session-setup', account, [['workstation', workstation]]);
  if (ntResponse.length === 0) return user === '' ? [client] : [client, credentials(account, '')];
  if (ntResponse.length <= 24) return [client, credentials(account, `${hex(challenge)}*${hex(lmResponse.subarray(0, 24))}*${hex(ntResponse)}`, 'ntlmv1')];
  const [proof, blob] = [hex(ntResponse.subarray(0, 16)), hex(ntResponse.subarray(16))];
  return [
    client,
    credentials(account, `${hex(challenge)}*${proof}`, 'ntlmv2'),
    payload('ntlmv2-response', `${user}::${domain}:${hex(challenge)}:${proof}:${blob}`),
  ];
}
