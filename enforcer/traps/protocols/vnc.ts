/** VNC, as TigerVNC serves it with a password (RFC 6143): the challenge and the client's answer to it are what is caught. */
import { bytesOf, hex, latin1, u32 } from './bytes.ts';
import type { TrapContext, TrapProtocol } from './machine.ts';
import { createMachine, MORE, type Step, type Talk } from './machine-talk.ts';
import { credentials, fingerprint, malformed } from './observation.ts';

const VERSION_BYTES = 12;
const VNC_AUTHENTICATION = 2;
const CHALLENGE_BYTES = 16;
const FAILED = 1;

export const vnc: TrapProtocol = {
  name: 'vnc',
  ports: [5900, 5901, 5902, 5903],
  create: context => createMachine(createTalk(context), context.limits),
};

function createTalk({ random }: TrapContext): Talk {
  const challenge = random.subarray(0, CHALLENGE_BYTES);
  let phase: 'version' | 'security' | 'answer' = 'version';
  let minor = 8;

  function next(waiting: Buffer): Step {
    if (phase === 'version') return nextVersion(waiting);
    if (phase === 'security') {
      if (waiting[0] !== VNC_AUTHENTICATION) {
        return {
          used: waiting.length,
          send: failure('No matching security types'),
          observations: [malformed('a security type that was not offered')],
          close: true,
        };
      }
      phase = 'answer';
      return { used: 1, send: challenge };
    }
    if (waiting.length < CHALLENGE_BYTES) return MORE;
    const answer = waiting.subarray(0, CHALLENGE_BYTES);
    const tried = credentials('', `${hex(challenge)}*${hex(answer)}`, 'vnc-des-challenge');
    return { used: CHALLENGE_BYTES, send: failure('Authentication failure'), observations: [tried], close: true };
  }

  function nextVersion(waiting: Buffer): Step {
    if (waiting.length < VERSION_BYTES) return MORE;
    const version = /^RFB (\d{3})\.(\d{3})\n$/.exec(latin1(waiting.subarray(0, VERSION_BYTES)));
    if (version === null || version[1] !== '003') return { used: waiting.length, observations: [malformed('no RFB version')], close: true };
    const said = Number(version[2]);
    minor = said >= 8 ? 8 : said === 7 ? 7 : 3; // RFC 6143, 7.1.1: anything else is 3.3
    const observations = [fingerprint('rfb-version', `3.${said}`)];
    if (minor >= 7) {
      phase = 'security';
      return { used: VERSION_BYTES, send: Uint8Array.of(1, VNC_AUTHENTICATION), observations };
    }
    phase = 'answer';
    return { used: VERSION_BYTES, send: bytesOf(u32(VNC_AUTHENTICATION), challenge), observations };
  }

  /** The reason is said from 3.8 on (RFC 6143, 7.1.3). */
  const failure = (reason: string): Uint8Array => (minor >= 8 ? bytesOf(u32(FAILED), u32(reason.length), reason) : bytesOf(u32(FAILED)));

  return { protocol: 'vnc', longestMessage: CHALLENGE_BYTES, greet: () => ({ used: 0, send: bytesOf('RFB 003.008\n') }), next };
}
