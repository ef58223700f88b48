/** SIP over TCP (RFC 3261) of an Asterisk: who registers or calls is asked for a password, and never gets through. */
import { blankBytes, headerOf, LONGEST_HEAD, readHead } from './http-request.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { malformed } from './observation.ts';
import { answerSip } from './sip-answers.ts';

const LONGEST_BODY = 8192;

/** The machine of one connection. */
export function createSipTrap(context: TrapContext): TrapMachine {
  return createMachine(
    {
      protocol: 'sip',
      longestMessage: LONGEST_HEAD + LONGEST_BODY,
      next(waiting): Step {
        const skipped = blankBytes(waiting);
        if (skipped > 0) return { used: skipped, unfinished: true };
        const head = readHead(waiting);
        if (head === 'more') return MORE;
        if (typeof head === 'string') return { used: waiting.length, observations: [malformed('not SIP')], close: true };
        const length = headerOf(head, 'content-length') ?? headerOf(head, 'l') ?? '0';
        if (!/^\d{1,6}$/.test(length) || Number(length) > LONGEST_BODY)
          return { used: waiting.length, observations: [malformed('body too long')], close: true };
        const end = head.used + Number(length);
        if (waiting.length < end) return MORE;
        if (head.version !== 'SIP/2.0') return { used: end, observations: [malformed('not SIP/2.0')], close: true };
        return { used: end, ...answerSip({ ...head, body: waiting.toString('latin1', head.used, end) }, context) };
      },
    },
    context.limits,
  );
}
