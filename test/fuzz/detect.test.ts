/**
 * Verdicts on hostile texts: the corpora cut, spliced and spoiled, and noise. No throw, no more findings than allowed. HONEYMESH_NIGHTLY=1: a million inputs,
 * and each rule's worst case doubled in length, which must not cost four times as much.
 */
import { LONGEST_QUOTE } from '@honeymesh/intel/findings';
import type { Observation } from '@honeymesh/intel/observations';
import { describe, test } from 'vitest';
import { type About, judgeObservation, MOST_OF_ONE, RULES } from '#enforcer/detect/judge.ts';
import { at, attacks, everyday, payloadOf } from '#test/support/detect-corpus.ts';
import { createDice, type Dice } from '#test/support/trap-fuzz.ts';

const NIGHTLY = process.env.HONEYMESH_NIGHTLY === '1';
const INPUTS = NIGHTLY ? 1_000_000 : 20_000;
const PROTOCOLS = [
  'http',
  'https',
  'telnet',
  'ssh',
  'adb',
  'ftp',
  'smtp',
  'redis',
  'mysql',
  'mssql',
  'postgresql',
  'mongodb',
  'docker',
  'kubernetes-tls',
  'sip',
  'snmp',
  'rdp',
  'smb',
  'unknown',
  'tls',
  'generic-udp',
] as const;
const SPOILERS = [
  '%',
  '%25',
  '%2e',
  '\u0024{',
  '}',
  '{{',
  '\\',
  '\\x',
  '\\u00',
  "'",
  '"',
  '/*',
  '*/',
  '../',
  '\0',
  '\xff',
  '\xac\xed\x00\x05',
  '\n',
  '\r\n',
  ' ',
  '+',
  ';',
  '|',
  '`',
  '\u0024(',
  '=',
  'a'.repeat(64),
  '%'.repeat(64),
];

const textsOf = (observation: Observation): readonly string[] => {
  switch (observation.kind) {
    case 'request':
      return [observation.target, ...observation.headers.map(([, value]) => value)];
    case 'command':
      return [observation.line];
    case 'payload':
      return [observation.content];
    case 'credentials':
      return [observation.user, observation.secret];
    case 'fingerprint':
      return [observation.value];
    default:
      return [];
  }
};
const TEXTS = [...attacks(), ...everyday()].flatMap(({ observation }) => textsOf(observation)).filter(text => text !== '');
const WORDS = RULES.flatMap(({ words }) => words);
const pick = <T>(from: readonly T[], dice: Dice): T => from[dice.below(from.length)] as T;

function textFrom(dice: Dice): string {
  let text = '';
  for (let parts = 1 + dice.below(4); parts > 0; parts--) {
    const part = dice.below(4) === 0 ? pick(WORDS, dice) : pick(TEXTS, dice);
    const from = dice.below(3) === 0 ? dice.below(part.length) : 0;
    text += part.slice(from, dice.below(3) === 0 ? from + dice.below(part.length - from + 1) : undefined);
    if (dice.below(2) === 0) text += pick(SPOILERS, dice);
  }
  for (let spoils = dice.below(4); spoils > 0; spoils--) {
    const where = dice.below(text.length + 1);
    text = text.slice(0, where) + (dice.below(2) === 0 ? pick(SPOILERS, dice) : String.fromCharCode(dice.below(256))) + text.slice(where + dice.below(3));
  }
  return text.slice(0, 4096);
}

function observationFrom(dice: Dice): Observation {
  switch (dice.below(6)) {
    case 0:
      return { kind: 'credentials', user: textFrom(dice).slice(0, 256), secret: textFrom(dice).slice(0, 256) };
    case 1:
      return { kind: 'command', line: textFrom(dice).slice(0, 1024) };
    case 2:
      return { kind: 'fingerprint', name: 'x', value: textFrom(dice).slice(0, 1024) };
    case 3:
      return payloadOf(pick(['body', 'mail', 'unknown', 'sdp'], dice), textFrom(dice));
    case 4:
      return payloadOf('unknown', `GET /${textFrom(dice)} HTTP/1.1\r\n${textFrom(dice)}`.slice(0, 4096));
    default:
      return {
        kind: 'request',
        method: pick(['GET', 'POST', 'PUT', '', 'get'], dice),
        target: textFrom(dice).slice(0, 2048),
        headers: [
          ['User-Agent', textFrom(dice).slice(0, 512)],
          [textFrom(dice).slice(0, 64), textFrom(dice).slice(0, 512)],
        ],
      };
  }
}

test(`verdicts stand ${INPUTS} inputs`, () => {
  const dice = createDice(0xde7ec7);
  for (let input = 0; input < INPUTS; input++) {
    const seed = dice.state();
    const about: About = at(pick(PROTOCOLS, dice), 1 + dice.below(65_535), dice.below(8) === 0 ? 'udp' : 'tcp');
    const observation = observationFrom(dice);
    try {
      const findings = judgeObservation(observation, about);
      if (findings.length > MOST_OF_ONE || findings.some(({ quote }) => quote.length > LONGEST_QUOTE)) throw new Error('too much was found');
    } catch (error) {
      throw new Error(`seed ${seed}, ${JSON.stringify(about)}: ${JSON.stringify(observation).slice(0, 2_000)}`, { cause: error });
    }
  }
});

if (NIGHTLY)
  describe('the time of a verdict', () => {
    const FILLERS = ['', 'a', '1', ' ', '/', '.', '../', 'a=', '(', '"', "'", '%', '\u0024{', '{', '`', '\\', '<', ',', '\n', '-', 'or 1=', 'select '];
    const SHORT = 2048;
    const TIMES_FOR_TWICE = 4; // linear is 2: what lies between is the machine's noise
    const NOISE_MS = 1;

    /** The least of some runs: what else the machine does is not counted. */
    function leastMs(runs: number, text: string, about: About, observe: (text: string) => Observation): number {
      let least = Number.POSITIVE_INFINITY;
      for (let run = 0; run < runs; run++) {
        const startedAt = performance.now();
        judgeObservation(observe(text), about);
        least = Math.min(least, performance.now() - startedAt);
      }
      return least;
    }

    test('grows with the text, not with its square, whatever a rule is fed with', () => {
      for (const word of new Set(WORDS)) {
        for (const filler of FILLERS) {
          for (const unit of [word + filler, filler.repeat(40) + word, word + filler.repeat(60), filler.repeat(200) + word + filler.repeat(300)]) {
            const text = unit.repeat(Math.ceil((2 * SHORT) / unit.length));
            for (const [about, observe] of [
              [at('http', 80), (said: string) => payloadOf('body', said)],
              [at('unknown', 80), (said: string) => payloadOf('unknown', said)],
              [at('http', 80), (said: string): Observation => ({ kind: 'request', method: 'POST', target: said, headers: [] })],
            ] as const) {
              const grows = (runs: number) => {
                const [short, long] = [leastMs(runs, text.slice(0, SHORT), about, observe), leastMs(runs, text.slice(0, 2 * SHORT), about, observe)];
                return { tooMuch: long > TIMES_FOR_TWICE * short + NOISE_MS, short, long };
              };
              if (!grows(3).tooMuch) continue;
              const { tooMuch, short, long } = grows(50); // the machine may have been busy
              if (tooMuch) throw new Error(`${JSON.stringify(word)} with ${JSON.stringify(filler)}: ${short} ms, of twice as much ${long} ms`);
            }
          }
        }
      }
    });
  });
