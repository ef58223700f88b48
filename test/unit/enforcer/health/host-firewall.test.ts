import { describe, expect, test } from 'vitest';
import { firewallObstacles, openFilesOf } from '#enforcer/health/doctor-traps.ts';
import { iptablesObstacles, nftObstacles } from '#enforcer/health/host-firewall.ts';

const OPTIONS = { interfaces: ['eth0'], mark: 0x686d7470 };

type Statement = Readonly<Record<string, unknown>>;
const chain = (policy: string, more: Statement = {}): Statement => ({
  chain: { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy, ...more },
});
const rule = (...expr: Statement[]): Statement => ({ rule: { family: 'inet', table: 'filter', chain: 'input', expr } });
const match = (left: Statement, right: unknown, op = '=='): Statement => ({ match: { op, left, right } });
const iif = (name: string, op = '=='): Statement => match({ meta: { key: 'iifname' } }, name, op);
const state = (...states: string[]): Statement => match({ ct: { key: 'state' } }, states, 'in');
const dport = (...ports: number[]): Statement => match({ payload: { protocol: 'tcp', field: 'dport' } }, { set: ports });
const accept: Statement = { accept: null };
const drop: Statement = { drop: null };
const ruleset = (...rows: Statement[]): string => JSON.stringify({ nftables: [{ metainfo: {} }, ...rows] });

describe('nftables', () => {
  test('a policy of drop that admits some ports keeps connections from the others, and the line that admits traps is said', () => {
    const text = ruleset(chain('drop'), rule(iif('lo'), accept), rule(state('established', 'related'), accept), rule(dport(22, 80), accept));
    expect(nftObstacles(text, OPTIONS)).toEqual([
      {
        where: 'nftables, chain inet filter input: its policy is drop',
        fix: 'to admit traps, and nothing else: nft insert rule inet filter input socket mark 0x686d7470 accept',
      },
    ]);
  });

  test.each([
    ['nothing but a policy of accept', [chain('accept')]],
    ['a rule that admits by the mark of the socket', [chain('drop'), rule(match({ socket: { key: 'mark' } }, OPTIONS.mark), accept)]],
    ['all that is new from the guarded interface is accepted', [chain('drop'), rule(iif('eth0'), state('new'), accept)]],
    ['a drop for another interface', [chain('accept'), rule(iif('wg0'), drop)]],
    ['a drop of what is invalid', [chain('accept'), rule(state('invalid'), drop)]],
    ['a drop of one port', [chain('accept'), rule(dport(25), drop)]],
    ['a chain that looks at forwarded packets', [chain('drop', { hook: 'forward', name: 'forward' })]],
  ])('no complaint: %s', (_, rows) => {
    expect(nftObstacles(ruleset(...rows), OPTIONS)).toEqual([]);
  });

  test.each<[string, Statement[]]>([
    ['a reject without a condition at the end', [chain('accept'), rule(dport(22), accept), rule({ reject: {} })]],
    ['a drop of all that is not loopback', [chain('accept'), rule(iif('lo', '!='), drop)]],
    [
      'a drop in a chain that is jumped to',
      [chain('accept'), rule({ jump: { target: 'late' } }), { rule: { family: 'inet', table: 'filter', chain: 'late', expr: [{ counter: {} }, drop] } }],
    ],
    ['the mark is admitted only after the drop', [chain('accept'), rule(drop), rule(match({ socket: { key: 'mark' } }, OPTIONS.mark), accept)]],
    ["iptables' REJECT on nftables", [chain('accept'), rule({ counter: {} }, { xt: { type: 'target', name: 'REJECT' } })]],
  ])('a complaint: %s', (_, rows) => {
    expect(nftObstacles(ruleset(...rows), OPTIONS)).toHaveLength(1);
  });

  test('chains that jump in a circle, and what is no ruleset, are no complaint and no hang', () => {
    expect(nftObstacles(ruleset(chain('accept'), rule({ jump: { target: 'input' } })), OPTIONS)).toEqual([]);
    for (const text of ['', 'nonsense', '{"nftables": 3}', '[]', '{"nftables":[{"chain":null},{"rule":{"expr":3}}]}'])
      expect(nftObstacles(text, OPTIONS)).toEqual([]);
  });
});

describe('iptables', () => {
  const saved = (policy: string, ...lines: string[]): string => ['*filter', `:INPUT ${policy} [0:0]`, ':late - [0:0]', ...lines, 'COMMIT', ''].join('\n');

  test.each<[string, string]>([
    ['its policy is DROP', saved('DROP', '-A INPUT -i lo -j ACCEPT', '-A INPUT -p tcp -m state --state NEW,ESTABLISHED -m tcp --dport 22 -j ACCEPT')],
    ['a rule drops', saved('ACCEPT', '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT', '-A INPUT -j REJECT --reject-with icmp-port-unreachable')],
    ['a rule drops', saved('ACCEPT', '-A INPUT -j late', '-A late ! -i lo -m comment --comment "the rest" -j DROP')],
  ])('%s', (words, text) => {
    const [found] = iptablesObstacles(text, 'iptables', OPTIONS);
    expect(found?.where).toContain(words);
    expect(found?.fix).toBe('to admit traps, and nothing else: iptables -I INPUT -m socket --transparent --nowildcard -j ACCEPT');
  });

  test.each<[string, string]>([
    ['nothing', saved('ACCEPT')],
    ['admitted', saved('DROP', '-A INPUT -m socket --transparent --nowildcard -j ACCEPT')],
    ['others only', saved('ACCEPT', '-A INPUT -i wg0 -j DROP', '-A INPUT -m conntrack --ctstate INVALID -j DROP', '-A INPUT -s 198.51.100.0/24 -j DROP')],
    ['no filter table', '*nat\n:INPUT DROP [0:0]\nCOMMIT\n'],
  ])('no complaint: %s', (_, text) => {
    expect(iptablesObstacles(text, 'iptables', OPTIONS)).toEqual([]);
  });

  test('where ufw made the rules, its file is named', () => {
    const text = saved('DROP', ':ufw-before-input - [0:0]', '-A INPUT -j ufw-before-input');
    expect(iptablesObstacles(text, 'iptables', OPTIONS)[0]?.fix).toContain('/etc/ufw/before.rules');
  });
});

test('a chain that both tools show is one complaint, and tools that are absent are none', () => {
  const answers: Readonly<Record<string, string>> = {
    'iptables-save': '*filter\n:INPUT DROP [0:0]\nCOMMIT\n',
    nft: ruleset({ chain: { family: 'ip', table: 'filter', name: 'INPUT', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } }),
  };
  expect(firewallObstacles(command => answers[command] ?? null, OPTIONS)).toHaveLength(1);
  expect(firewallObstacles(() => null, OPTIONS)).toEqual([]);
});

test('the hard limit of open files is read as /proc has it', () => {
  const limits = (soft: string, hard: string) =>
    `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft}                 ${hard}               files     \n`;
  expect([openFilesOf(limits('1024', '524288')), openFilesOf(limits('1024', 'unlimited')), openFilesOf('')]).toEqual([
    524_288,
    Number.POSITIVE_INFINITY,
    undefined,
  ]);
});
