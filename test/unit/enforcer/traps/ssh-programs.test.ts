import { describe, expect, test } from 'vitest';
import { createShell } from '#enforcer/traps/protocols/shell.ts';
import { createCommand, createPipedShell, createTerminal, type Program, type Said } from '#enforcer/traps/server/ssh-programs.ts';
import { personaOf } from '#test/support/trap-talk.ts';

const persona = personaOf(1);
const shell = createShell(persona, 'root');
const prompt = `root@${persona.hostName}:~# `;

/** All that a program says to these inputs, and then to the end. */
function run(program: Program, ...inputs: readonly string[]) {
  let out = '';
  let errors = '';
  let exit: number | undefined;
  const seen: string[] = [];
  const follow = (said: Said): void => {
    out += said.out ?? '';
    errors += said.errors ?? '';
    for (const each of said.seen ?? []) seen.push(each.kind === 'command' ? each.line : each.kind === 'payload' ? `${each.name}=${each.content}` : each.kind);
    exit ??= said.exit;
  };
  follow(program.start());
  for (const input of inputs) if (exit === undefined) follow(program.input(input));
  if (exit === undefined) follow(program.end());
  return { out, errors, exit, seen };
}

describe('a terminal', () => {
  const terminal = () => createTerminal(shell, 'Welcome\r\n');

  test('echoes what is typed, answers, and prompts again', () => {
    const said = run(terminal(), 'w', 'hoami\r');
    expect(said.out).toBe(`Welcome\r\n${prompt}whoami\r\nroot\r\n${prompt}logout\r\n`);
    expect(said.seen).toEqual(['whoami']);
  });

  test.each([
    ['backspace', 'idx\x7f\r', 'id'],
    ['^U', 'rm -rf /\x15id\r', 'id'],
    ['^C', 'rm -rf /\x03id\r', 'id'],
    ['arrow keys', '\x1b[Ai\x1b[D\x1bOCd\r', 'id'],
    ['other control characters', '\x01i\x02d\r\n', 'id'],
  ])('%s works as it does', (_key, typed, command) => {
    expect(run(terminal(), typed).seen).toEqual([command]);
  });

  test.each([
    ['exit', 'exit\r'],
    ['^D', '\x04'],
  ])('%s ends it', (_how, typed) => {
    const said = run(terminal(), typed);
    expect(said.exit).toBe(0);
    expect(said.out).toMatch(/logout\r\n$/);
  });

  test('a line without end is cut', () => {
    const said = run(terminal(), 'a'.repeat(10_000), '\r');
    expect(said.seen).toEqual(['a'.repeat(1024)]);
    expect(said.out.length).toBeLessThan(1_500);
  });
});

describe('a shell that reads from a pipe', () => {
  test('runs line by line, says nothing else, and has the status of the last', () => {
    const said = run(createPipedShell(shell), 'echo one\nec', 'ho two\nnosuch');
    expect(said).toEqual({ out: 'one\ntwo\n', errors: '-bash: line 3: nosuch: command not found\n', exit: 127, seen: ['echo one', 'echo two', 'nosuch'] });
  });

  test('stops at exit', () => {
    expect(run(createPipedShell(shell), 'exit\nrm -rf /\n').seen).toEqual(['exit']);
  });
});

describe('a command', () => {
  test('runs at once', () => {
    expect(run(createCommand(shell, 'whoami', false))).toEqual({ out: 'root\n', errors: '', exit: 0, seen: ['whoami'] });
  });

  test('that there is not ends with 127 and complains on the error stream', () => {
    expect(run(createCommand(shell, 'nosuch', false))).toMatchObject({ out: '', errors: 'bash: line 1: nosuch: command not found\n', exit: 127 });
  });

  test('on a terminal keeps the terminal’s line ends', () => {
    expect(run(createCommand(shell, 'whoami', true)).out).toBe('root\r\n');
  });

  test('of several lines runs all of them', () => {
    expect(run(createCommand(shell, 'echo a\necho b', false)).out).toBe('a\nb\n');
  });

  test.each(['cat > /tmp/x', 'sh', 'bash -s', 'tee /etc/cron.d/x', 'base64 -d > x', 'cd /tmp; cat >x', 'python3 -'])('%s takes what is sent', line => {
    expect(run(createCommand(shell, line, false), 'ev', 'il').seen).toEqual([line, 'stdin=evil']);
  });

  test('keeps the beginning of what is sent, and counts the rest', () => {
    const program = createCommand(shell, 'cat > x', false);
    program.start();
    for (let part = 0; part < 10; part++) program.input('x'.repeat(1000));
    expect(program.end().seen).toEqual([{ kind: 'payload', name: 'stdin', content: 'x'.repeat(4096), bytes: 10_000 }]);
  });
});

describe('scp', () => {
  const sink = () => createCommand(shell, 'scp -t /tmp', false);

  test('takes a file, in pieces of any size', () => {
    const sent = 'T1 0 1 0\nC0755 11 bot.sh\n#!/bin/sh\n1\0';
    for (const size of [1, 3, 100]) {
      const pieces = sent.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      const said = run(sink(), ...pieces);
      expect(said).toMatchObject({ out: '\0\0\0\0', exit: 0, seen: ['scp -t /tmp', 'bot.sh=#!/bin/sh\n1'] });
    }
  });

  test('writes down a file that is cut off', () => {
    expect(run(sink(), 'C0644 1000 a\nabc').seen).toEqual(['scp -t /tmp', 'a=abc']);
  });

  test('follows into folders', () => {
    expect(run(sink(), 'D0755 0 d\nC0644 1 f\nx\0E\n')).toMatchObject({ out: '\0\0\0\0\0', seen: ['scp -t /tmp', 'f=x'] });
  });

  test.each(['hello\n', `C0644 ${'9'.repeat(400)} a\n`, 'x'.repeat(10_000)])('ends at nonsense', sent => {
    expect(run(sink(), sent).exit).toBe(1);
  });

  test('has no file to give', () => {
    expect(run(createCommand(shell, 'scp -f /etc/shadow', false))).toMatchObject({ out: '\x01scp: /etc/shadow: No such file or directory\n', exit: 1 });
  });
});
