import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { mergePorts, parseIptablesSave, parseIpvs, parseNftRuleset } from '#enforcer/launch/published-ports.ts';

const DPORT = { payload: { protocol: 'tcp', field: 'dport' } };
const chain = (name: string, hook?: string) => ({ chain: { family: 'ip', table: 'nat', name, ...(hook === undefined ? {} : { type: 'nat', hook }) } });
const rule = (inChain: string, ...expr: unknown[]) => ({ rule: { family: 'ip', table: 'nat', chain: inChain, expr } });
const port = (right: unknown, op = '==') => ({ match: { op, left: DPORT, right } });
const ruleset = (...rows: unknown[]) => JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, chain('pre', 'prerouting'), ...rows] });
const DNAT = { dnat: { addr: '10.0.0.2', port: 8080 } };

describe('iptables-save', () => {
  test.each([
    ['-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80', { tcp: [8080], udp: [] }],
    ['-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353', { tcp: [], udp: [53] }],
    ['-A PREROUTING -p tcp -m multiport --dports 80,443,8000:8002 -j DNAT --to-destination 10.0.0.2', { tcp: [80, 443, 8000, 8001, 8002], udp: [] }],
    ['-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web --dport" -m tcp --dport 30080 -j KUBE-EXT-ABCDEF', { tcp: [30080], udp: [] }],
    ['-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y', { tcp: [443], udp: [] }],
    ['-A PREROUTING -p tcp -m tcp --dport 80 -j TPROXY --on-port 3129', { tcp: [80], udp: [] }],
    ['-A PREROUTING -m tcp --dport 81 -j DNAT --to-destination 10.0.0.2', { tcp: [81], udp: [81] }],
  ])('%s serves its ports', (line, ports) => {
    expect(parseIptablesSave(`*nat\n:PREROUTING ACCEPT [0:0]\n${line}\nCOMMIT\n`)).toEqual(ports);
  });

  test.each([
    '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
    '-A OUTPUT -p tcp -m tcp --dport 22 -j DNAT --to-destination 127.0.0.1:2222',
    '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
    '-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:38231',
    '# -A PREROUTING -p tcp --dport 22 -j DNAT',
  ])('%s serves nothing', line => {
    expect(parseIptablesSave(line)).toEqual({ tcp: [], udp: [] });
  });

  test('a rule whose port is negated or missing serves every port: a trap must never stand before a service', () => {
    expect(parseIptablesSave('-A PREROUTING -p tcp -m tcp ! --dport 22 -j DNAT --to-destination 10.0.0.2').tcp).toHaveLength(65536);
    expect(parseIptablesSave('-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.2')).toMatchObject({ udp: [] });
  });
});

describe('nft', () => {
  test.each([
    ['one port', [rule('pre', port(80), DNAT)], { tcp: [80], udp: [] }],
    [
      'a set with a range',
      [rule('pre', port({ set: [443, { range: [8000, 8002] }] }), { redirect: { port: 8443 } })],
      { tcp: [443, 8000, 8001, 8002], udp: [] },
    ],
    [
      'a set by name',
      [{ set: { family: 'ip', table: 'nat', name: 'pp', elem: [{ range: [7000, 7001] }, 7100] } }, rule('pre', port('@pp'), DNAT)],
      { tcp: [7000, 7001, 7100], udp: [] },
    ],
    [
      'a redirect without a port of its own',
      [rule('pre', { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 53 } }, { redirect: null })],
      { tcp: [], udp: [53] },
    ],
    [
      'a map of ports',
      [
        rule('pre', {
          dnat: {
            addr: {
              map: {
                key: DPORT,
                data: {
                  set: [
                    [81, '10.0.0.4'],
                    [82, '10.0.0.4'],
                  ],
                },
              },
            },
          },
        }),
      ],
      { tcp: [81, 82], udp: [] },
    ],
    [
      'a map by name',
      [{ map: { family: 'ip', table: 'nat', name: 'm', elem: [[9000, '10.0.0.9']] } }, rule('pre', { dnat: { addr: { map: { key: DPORT, data: '@m' } } } })],
      { tcp: [9000], udp: [] },
    ],
    ['a jump to a chain that forwards', [chain('web'), rule('web', DNAT), rule('pre', port(8081), { jump: { target: 'web' } })], { tcp: [8081], udp: [] }],
    ['the output hook', [chain('out', 'output'), rule('out', port(9999), DNAT)], { tcp: [], udp: [] }],
    [
      'a filter',
      [rule('pre', port(22), { accept: null }), rule('pre', { vmap: { key: DPORT, data: { set: [[22, { accept: null }]] } } })],
      { tcp: [], udp: [] },
    ],
    ['sctp', [rule('pre', { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'sctp' } }, DNAT)], { tcp: [], udp: [] }],
  ])('%s', (_, rows, ports) => {
    expect(parseNftRuleset(ruleset(...rows))).toEqual(ports);
  });

  test("kube-proxy's map of node ports serves them by protocol", () => {
    const nodePorts = {
      map: {
        family: 'ip',
        table: 'nat',
        name: 'np',
        elem: [
          [{ concat: ['udp', 30053] }, { goto: { target: 'svc' } }],
          [{ concat: ['tcp', 30080] }, { goto: { target: 'svc' } }],
        ],
      },
    };
    const key = { concat: [{ meta: { key: 'l4proto' } }, { payload: { protocol: 'th', field: 'dport' } }] };
    expect(parseNftRuleset(ruleset(nodePorts, chain('svc'), rule('svc', DNAT), rule('pre', { vmap: { key, data: '@np' } })))).toEqual({
      tcp: [30080],
      udp: [30053],
    });
  });

  test('a chain that forwards everything serves every port only where everything gets to it', () => {
    expect(parseNftRuleset(ruleset(rule('pre', DNAT)))?.tcp).toHaveLength(65536);
    expect(parseNftRuleset(ruleset(chain('svc'), rule('svc', DNAT)))?.tcp).toHaveLength(0);
  });

  test.prop([fc.json()])('never throws on JSON of another shape', text => {
    parseNftRuleset(text);
    parseNftRuleset(`{"nftables":[${text},{"rule":${text}},{"map":${text}},{"rule":{"expr":[{"dnat":${text}},{"match":${text}},{"vmap":${text}}]}}]}`);
  });

  test.prop([fc.string()])('never throws on text', text => {
    parseNftRuleset(text);
    parseIptablesSave(text);
    parseIpvs(text);
  });
});

test('virtual services of IPVS are served', () => {
  const table =
    'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  0A600001:01BB rr\n  -> 0A000205:192B      Masq    1      0          0\nUDP  [fd00::a]:0035 rr\n';
  expect(parseIpvs(table)).toEqual({ tcp: [443], udp: [53] });
});

test('findings are merged in order, each port once', () => {
  expect(
    mergePorts([
      { tcp: [443, 80], udp: [] },
      { tcp: [80], udp: [53] },
    ]),
  ).toEqual({ tcp: [80, 443], udp: [53] });
});
