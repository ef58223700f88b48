import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { listeningOf } from '#enforcer/health/machine.ts';
import {
  defaultDevice,
  onLinkPrefixes,
  parseFibTrie,
  parseInet6,
  parsePortRange,
  parseResolvConf,
  parseRoutes4,
  parseRoutes6,
  parseSockets,
} from '#enforcer/health/machine-tables.ts';

const ROUTES4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
eth0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0
*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0
`;
const ROUTES6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

describe('routes', () => {
  test('gateways, on-link prefixes and the default device come from both families; rejected routes do not count', () => {
    const routes4 = parseRoutes4(ROUTES4);
    const routes6 = parseRoutes6(ROUTES6);
    expect(routes4.map(route => route.gateway)).toEqual(['192.168.1.1', '192.0.2.1', null, null]);
    expect(routes6.map(route => [route.target, route.gateway])).toEqual([
      ['fd00::/64', null],
      ['fe80::/64', null],
      ['::/0', 'fe80::1'],
    ]);
    expect(onLinkPrefixes([...routes4, ...routes6])).toEqual(['192.0.2.0/24', 'fd00::/64']);
    expect(defaultDevice(routes4, routes6)).toBe('eth0');
    expect(defaultDevice([], routes6)).toBe('eth0');
    expect(defaultDevice([], [])).toBeUndefined();
  });
});

test('the trie names our addresses, also of interfaces without carrier, but neither loopback nor broadcast', () => {
  const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
`;
  expect(parseFibTrie(trie)).toEqual(['192.0.2.2']);
});

test('IPv6 addresses of this host', () => {
  expect(parseInet6('00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 02 40 00 80     eth0\n')).toEqual(['fd00::2']);
});

test('name servers are those that are asked, not the stub on loopback; zones and comments are cut off', () => {
  expect(
    parseResolvConf('# nameserver 1.1.1.1\nnameserver 127.0.0.53\nnameserver 9.9.9.9 # quad\n nameserver fe80::1%eth0\nnameserver example.org\nsearch lan\n'),
  ).toEqual(['9.9.9.9', 'fe80::1']);
});

test('the ephemeral range, or the default of the kernel', () => {
  expect(parsePortRange('1024\t65000\n')).toEqual([1024, 65000]);
  expect(parsePortRange('nonsense')).toEqual([32768, 60999]);
});

describe('sockets', () => {
  const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  const TCP = `${HEADER}   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1
   2: 020200C0:0016 630200C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 102 1
   3: 020200C0:9C41 070200C0:01BB 01 00000000:00000000 00:00000000 00000000     0        0 103 1
`;
  const TCP6 = `${HEADER}   0: 0000000000000000FFFF0000020200C0:0016 0000000000000000FFFF0000640200C0:9C42 01 00000000:00000000 00:00000000 00000000     0        0 104 1
`;
  const UDP = `${HEADER}   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 105 2 0 0\n`;

  test('listeners that anybody outside may reach are served, and who is connected to them is known', () => {
    expect(listeningOf([...parseSockets(TCP), ...parseSockets(TCP6)], parseSockets(UDP))).toEqual({
      served: { tcp: [22], udp: [53] },
      peers: ['192.0.2.99', '192.0.2.100'],
    });
  });

  test('a peer of a connection that we opened is not one of ours', () => {
    expect(listeningOf(parseSockets(TCP), []).peers).not.toContain('192.0.2.7');
  });
});

test.prop([fc.string({ unit: fc.constantFrom(...'0123456789ABCDEFabcdef: \t\n|-/.'), maxLength: 400 })])('no table makes a parser throw', text => {
  for (const parse of [parseRoutes4, parseRoutes6, parseFibTrie, parseInet6, parseResolvConf, parsePortRange, parseSockets]) parse(`header\n${text}`);
});
