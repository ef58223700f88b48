import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBenchArguments } from '#test/bench/support/command-line.ts';
import { lineCounter } from '#test/bench/traps/log-lines.ts';
import { judge, readPorts } from '#test/bench/traps/scan.ts';

const XML = `<ports>
<port protocol="tcp" portid="21"><state state="open" reason="syn-ack" reason_ttl="64"/><service name="ftp" product="vsftpd" version="3.0.3" ostype="Unix" method="probed" conf="10"><cpe>cpe:/a:vsftpd:vsftpd:3.0.3</cpe></service></port>
<port protocol="tcp" portid="22"><state state="open"/><service name="ssh" method="table" conf="3"/></port>
<port protocol="tcp" portid="9200"><state state="open"/><service name="http" product="Elasticsearch REST API" version="7.17.9" ostype="Linux" method="probed" conf="10"/></port>
<port protocol="tcp" portid="23"><state state="closed"/></port>
<port protocol="udp" portid="123"><state state="open"/><service name="ntp" product="NTP" extrainfo="secondary server" ostype="Linux" method="probed"/></port>
</ports>`;

describe('a scan', () => {
  test('names what was found out by an answer, and not what the port is usually for', () => {
    const found = judge(readPorts(XML), { 21: /^ftp/, 22: /^ssh/, 23: /^telnet/, 9200: /elasticsearch/i }, { 123: /^ntp/ }, 12);
    expect(found).toEqual({ tcp: 2, udp: 1, seconds: 12, systems: ['linux'], missed: ['tcp 22', 'tcp 23'] });
  });

  test('counts two systems as two, and Unix beside Linux as none', () => {
    const systems = (...names: string[]) =>
      judge(
        names.map((system, port) => ({ protocol: 'tcp', port, name: 'x', system })),
        {},
        {},
        1,
      ).systems;
    expect(systems('Unix', 'Linux', 'linux')).toEqual(['linux']);
    expect(systems('Unix', 'Windows', 'Linux')).toEqual(['windows', 'linux']);
    expect(systems('Unix')).toEqual(['unix']);
  });

  test('says what a port was taken for instead', () => {
    expect(judge(readPorts(XML), { 9200: /^mysql/ }, {}, 1).missed).toEqual(['tcp 9200 (http Elasticsearch REST API)']);
  });
});

test('lines of a growing file are counted once, whole ones only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const path = join(folder, 'log');
  const count = lineCounter(path, 'yes');
  expect(count.total()).toBe(0);
  writeFileSync(path, 'yes 1\nno\nyes 2\nye');
  expect([count.fresh(), count.total()]).toEqual([2, 2]);
  appendFileSync(path, 's 3\n');
  expect([count.total(), count.fresh(), count.fresh()]).toEqual([3, 1, 0]);
  rmSync(folder, { recursive: true });
});

describe('the command line of a bench', () => {
  const meant = { parts: ['load', 'scan'] as const, peers: true };
  test('asks for all parts where none is named, in the order of the bench', () => {
    expect(readBenchArguments([], meant)).toEqual({ jsonPath: null, rounds: 5, parts: ['load', 'scan'], setUpPeers: false, quick: false });
    expect(readBenchArguments(['--only', 'scan', '--only', 'load', '--setup-peers', '--rounds', '7', '--json', 'x'], meant)).toEqual({
      jsonPath: 'x',
      rounds: 7,
      parts: ['load', 'scan'],
      setUpPeers: true,
      quick: false,
    });
    expect(readBenchArguments(['--quick'], { quick: true }).quick).toBe(true);
  });

  test.each([
    [['--only', 'nmap'], meant, '--only takes load, scan, and not nmap'],
    [['--only', 'x'], {}, 'no parts'],
    [['--setup-peers'], {}, 'no peers'],
    [['--quick'], {}, 'no quick form'],
    [['--rounds', '4'], {}, 'at least 5'],
    [['--fast'], {}, '--fast'],
  ])('refuses %j', (args, what, words) => {
    expect(() => readBenchArguments(args, what)).toThrow(words);
  });
});
