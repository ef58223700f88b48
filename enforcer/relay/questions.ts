/** What a host asks the hub, one question of a kind at a time: asked again with back-off where no answer comes, and more patiently where it is refused. Pure. */
import type { Answer, Question, QuestionRefusal } from '@honeymesh/intel/hub-messages';
import { MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';

export type Ask = Question extends infer Q ? (Q extends Question ? Omit<Q, 'v' | 'id'> : never) : never;

export interface Questions {
  /** The question with its id, if one may be put now; null: one of this kind waits for its answer, or its time has not come. */
  ask(question: Ask, now: UnixMs): Question | null;
  /** Whose answer it is; null: nobody asked, or it came too late. A refusal makes the next one wait. */
  answered(answer: Answer, now: UnixMs): Ask | null;
  /** The answer was good: the next one needs no patience. */
  done(ask: Ask['ask']): void;
  /** What was answered could not be used: the next one waits, as after silence. */
  failed(ask: Ask['ask'], now: UnixMs): void;
  /** How often in a row nobody answered. */
  silent(ask: Ask['ask']): number;
  /** A new connection: answers to earlier questions do not come any more. */
  reset(): void;
}

export const ANSWER_MS = 10 * SECOND_MS;
const LONGEST_WAIT_MS = 5 * MINUTE_MS;
const REFUSED_MS = MINUTE_MS;
const LONGEST_REFUSED_MS = 15 * MINUTE_MS;
/** 20 at once, then one every 2 s: whoever is over it waits for a good part of the bucket. */
const TOO_MANY_MS = 30 * SECOND_MS;

interface State {
  readonly pending: { readonly id: string; readonly question: Ask; readonly until: UnixMs } | null;
  readonly notBefore: UnixMs;
  readonly silent: number;
  readonly refused: number;
}

const IDLE: State = { pending: null, notBefore: unixMs(0), silent: 0, refused: 0 };

export function createQuestions({ random }: { readonly random: () => number }): Questions {
  const states = new Map<Ask['ask'], State>();
  /** Not guessable by whoever does not see them, and not the same after a restart. */
  const prefix = Math.floor(random() * 2 ** 48).toString(36);
  let count = 0;
  const stateOf = (kind: Ask['ask']): State => states.get(kind) ?? IDLE;
  const wait = (ms: number, now: UnixMs): UnixMs => unixMs(now + Math.ceil(ms * (0.5 + random() / 2)));

  function expired(kind: Ask['ask'], now: UnixMs): State {
    const state = stateOf(kind);
    if (state.pending === null || state.pending.until > now) return state;
    const next = { ...state, pending: null, silent: state.silent + 1, notBefore: wait(Math.min(LONGEST_WAIT_MS, ANSWER_MS * 2 ** state.silent), now) };
    states.set(kind, next);
    return next;
  }

  return {
    ask(question, now) {
      const state = expired(question.ask, now);
      if (state.pending !== null || state.notBefore > now) return null;
      const id = `${prefix}-${(count++).toString(36)}`;
      states.set(question.ask, { ...state, pending: { id, question, until: unixMs(now + ANSWER_MS) } });
      return { v: 1, id, ...question } as Question;
    },
    answered(answer, now) {
      for (const [kind, state] of states) {
        if (state.pending?.id !== answer.id) continue;
        const { question } = state.pending;
        if (answer.kind !== 'refused') states.set(kind, { ...state, pending: null, notBefore: unixMs(0), refused: 0 });
        else {
          const longest = answer.why === 'too-many-questions' ? TOO_MANY_MS : Math.min(LONGEST_REFUSED_MS, REFUSED_MS * 2 ** state.refused);
          states.set(kind, { pending: null, silent: 0, refused: state.refused + 1, notBefore: wait(longest, now) });
        }
        return question;
      }
      return null;
    },
    done: kind => void states.set(kind, IDLE),
    failed(kind, now) {
      const state = stateOf(kind);
      const waitMs = Math.min(LONGEST_WAIT_MS, ANSWER_MS * 2 ** state.silent);
      states.set(kind, { ...state, pending: null, silent: state.silent + 1, notBefore: wait(waitMs, now) });
    },
    silent: kind => stateOf(kind).silent,
    reset() {
      // Refusals are remembered: whoever reconnects because it is refused must not ask faster for it.
      for (const [kind, state] of states) states.set(kind, { ...state, pending: null, silent: 0, notBefore: state.refused > 0 ? state.notBefore : unixMs(0) });
    },
  };
}

/** Why the hub does not answer, and what an operator does about it. */
export const QUESTION_TROUBLES: Readonly<Record<QuestionRefusal, { readonly why: string; readonly fix: string }>> = {
  'unknown-certificate': {
    why: 'the hub did not get the certificates of this host and its registrar',
    fix: 'renew the membership: "honeymesh mesh join TOKEN"',
  },
  'bad-certificate': {
    why: "the hub does not take this host's certificate: it has ended, or is of another mesh than the one that the hub was deployed for",
    fix: '"honeymesh mesh" shows until when it holds and of which cluster it is; the hub\'s cluster is a setting of its deployment',
  },
  'other-name': {
    why: 'hub.thing is not the name of this host in the mesh',
    fix: 'enrol it under its name: "honeymesh hub enrol"',
  },
  'other-key': {
    why: 'the hub knows this host by another key: it joined the mesh anew since it was enrolled',
    fix: 'enrol it again: "honeymesh hub enrol"',
  },
  'no-trust': {
    why: "the hub does not find this host's certificate under the root that it was deployed with",
    fix: 'deploy the hub with the root of this mesh ("honeymesh mesh init" showed it), or join that mesh',
  },
  quarantined: {
    why: 'the hub took this host off because so much of what it sent had to be refused',
    fix: 'look at what this host sends ("honeymesh events list --kind hub"), then set its certificate ACTIVE in IoT',
  },
  'too-many-questions': {
    why: 'the hub is asked too often by this host',
    fix: 'nothing: it asks again later; if it stays, is another host using the same thing?',
  },
  'bad-range': { why: 'the hub does not have the advisories that this host asked for', fix: 'nothing: it asks for all that holds instead' },
};
