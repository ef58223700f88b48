/** The shell that telnet and SSH end in. */
import { describe, expect, test } from 'vitest';
import { createShell } from '#enforcer/traps/protocols/shell.ts';
import { statementsOf } from '#enforcer/traps/protocols/shell-line.ts';
import { diceOf, noise } from '#test/support/mutations.ts';
import { personaOf, personaWith } from '#test/support/trap-talk.ts';

const persona = personaOf(1);
const root = createShell(persona, 'root');

describe('a line', () => {
  test.each([
    ['echo a', 'a\r\n'],
    ['echo a; echo b', 'a\r\nb\r\n'],
    ['true && echo yes || echo no', 'yes\r\n'],
    ['nosuch 2>/dev/null && echo yes || echo no', 'no\r\n'],
    ['nosuch 2>&1', '-bash: nosuch: command not found\r\n'],
    ['false || echo no', 'no\r\n'],
    ['echo "a;b|c&&d"', 'a;b|c&&d\r\n'],
    ['echo -e "\\x67\\x61yfgt"', 'gayfgt\r\n'],
    ['echo -n a', 'a'],
    ['printf "a\\nb\\n"', 'a\r\nb\r\n'],
    ['echo evil > /tmp/x', ''],
    ['echo evil >> /etc/crontab; echo done', 'done\r\n'],
    ['cat /proc/cpuinfo 2>/dev/null | grep name | wc -l', `${persona.pick('processors', [1, 2, 4])}\r\n`],
    ['echo "root:x" | chpasswd | bash', ''],
    ['cd /tmp || cd /var/run; whoami', 'root\r\n'],
    ['/bin/busybox ECCHI', 'ECCHI: applet not found\r\n'],
    ['cat /etc/shadow', 'cat: /etc/shadow: No such file or directory\r\n'],
    ['cat > /tmp/x', ''],
    ['uname -m; id -u', 'x86_64\r\n0\r\n'],
    ['/usr/bin/hostname', `${persona.hostName}\r\n`],
    ["free -m | grep Mem | awk '{print $2 ,$3}'", /^\d+ \d+\r\n$/],
    ['', ''],
  ])('%j', (line, said) => {
    if (typeof said === 'string') expect(root.run(line)).toBe(said);
    else expect(root.run(line)).toMatch(said);
  });

  test.each(['exit', 'logout'])('%s ends the session, but for a line that had more to say', line => {
    expect(root.run(line)).toBeUndefined();
    expect(root.run(`echo bye; ${line}; echo more`)).toBe('bye\r\n');
  });

  test('a user who is not root is told so', () => {
    const shell = createShell(persona, 'test');
    expect(shell.run('id; pwd')).toBe('uid=1000(test) gid=1000(test) groups=1000(test)\r\n/home/test\r\n');
    expect(shell.prompt).toBe(`test@${persona.hostName}:~$ `);
  });

  test('says the same of the kernel as the release does', () => {
    const rocky = personaWith(({ release }) => release.family === 'rhel');
    expect(createShell(rocky, 'root').run('uname -a')).toBe(
      `Linux ${rocky.hostName} ${rocky.release.kernel} ${rocky.release.kernelBuild} x86_64 x86_64 x86_64 GNU/Linux\r\n`,
    );
  });

  test('any bytes are a line, and what is said to them is bounded', () => {
    const dice = diceOf(7);
    const words = ['echo ', 'cat ', "'", '"', '\\', '|', '&&', '||', ';', '>', '2>&1', 'grep -c ', 'awk $', 'wc ', 'head -n 3', 'busybox ', '\n', '$('];
    for (let at = 0; at < 5_000; at++) {
      let line = Buffer.from(noise(dice, 40)).toString('latin1');
      for (let more = dice.below(12); more > 0; more--) line += words[dice.below(words.length)];
      expect(root.run(line)?.length ?? 0).toBeLessThan(40_000);
    }
    expect(root.run('cat /proc/cpuinfo;'.repeat(1_000))?.length).toBeLessThan(40_000);
    expect(statementsOf('a;'.repeat(1_000))).toHaveLength(16);
    expect(statementsOf('a|'.repeat(1_000))[0]?.pipeline).toHaveLength(8);
  });
});
