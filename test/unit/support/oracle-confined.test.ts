/** Section 12 of docs/packet-path.md, each case computed by hand. */
import { describe, expect, test } from 'vitest';
import * as build from '#test/support/frames/frames.ts';
import { createOracle } from '#test/support/oracle/oracle.ts';
import { emptyScenario, type FoundSocket, type Scenario, type Settings, usualSettings } from '#test/support/oracle/scenario.ts';

const NOW = 1_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const BAD = '203.0.113.7';
const OWN = '198.51.100.1';
const OWN6 = '2001:db8::1';
const MARK = 9;
const { ethernet, ipv4, ipv6, tcp, udp, echo, icmp, fragmentHeader } = build;

const settings: Settings = { ...usualSettings, trapPort: 7_000, trapUdpPort: 7_001, trapMark: MARK };
const scenario: Scenario = {
  ...emptyScenario,
  settings,
  own: [OWN, OWN6],
  bans: [
    { target: BAD, expiresNs: null, confined: true },
    { target: '2001:db8:bad::/64', expiresNs: null, confined: true },
  ],
  trapPorts: [
    { transport: 'tcp', port: 22 },
    { transport: 'udp', port: 161 },
    { transport: 'udp', port: 137 },
  ],
  heartbeatNs: -SECOND,
};
const judge = (frame: Uint8Array, more: Partial<Scenario> = {}, socket: FoundSocket | null = null) =>
  createOracle({ ...scenario, ...more }, NOW, { tcp: () => socket, udp: () => socket }).judge(frame, NOW);

const v4 = (segment: build.Segment, fields: Partial<build.Ipv4Fields> = {}) => ethernet(ipv4({ from: BAD, to: OWN, ...fields }, segment));
const v6 = (segment: build.Segment, fields: Partial<build.Ipv6Fields> = {}) => ethernet(ipv6({ from: '2001:db8:bad::7', to: OWN6, ...fields }, segment));
const tcpTo = (port: number, flags: string) => v4(tcp({ to: port, flags }));
const child: FoundSocket = { state: 'connected', port: 22, mark: MARK };
const request: FoundSocket = { state: 'open', port: 7_000, mark: MARK };
const service: FoundSocket = { state: 'open', port: 22, mark: 0 };
const body = new Uint8Array(8);

describe('what passes', () => {
  test.each<[string, Uint8Array, FoundSocket | null, number]>([
    // events: the touch of a probe, or none
    ['a SYN to a closed trap port', tcpTo(22, 'S'), null, 1],
    ['data of a trap connection', tcpTo(22, 'PA'), child, 0],
    ['RST of a trap connection', tcpTo(22, 'R'), child, 0],
    ['a SYN to where a trap connection lives', tcpTo(22, 'S'), child, 0],
    ['the last ACK of a handshake with a trap', tcpTo(22, 'A'), request, 0],
    ["a SYN to the traps' own port", tcpTo(7_000, 'S'), request, 1],
    ['a datagram to a closed trap port', v4(udp({ to: 161 })), null, 1],
    ['a datagram to 137, which counts for nothing else', v4(udp({ to: 137 })), null, 1],
    ["a datagram to the traps' own port", v4(udp({ to: 7_001 })), { state: 'open', port: 7_001, mark: MARK }, 1],
    ['neighbour solicitation', v6(icmp(135, body)), null, 0],
    ['neighbour advertisement, to a group', v6(icmp(136, body), { to: 'ff02::1' }), null, 0],
    ['an atomic fragment', v6(tcp({ to: 22 }), { extensions: [fragmentHeader({ offset: 0, more: false })] }), null, 1],
  ])('%s', (_, frame, socket, events) => {
    const { verdict, events: told } = judge(frame, {}, socket);
    expect([verdict, told.length]).toEqual(['pass', events]);
  });
});

describe('what does not', () => {
  test.each<[string, Uint8Array, FoundSocket | null, Partial<Scenario>]>([
    ['a SYN to a service', tcpTo(22, 'S'), service, {}],
    ['data of a service', tcpTo(22, 'PA'), { ...child, mark: 0 }, {}],
    ['a SYN to a port that is no trap', tcpTo(23, 'S'), null, {}],
    ['a SYN to a port in grace', tcpTo(22, 'S'), null, { served: [{ transport: 'tcp', port: 22, atNs: -SECOND }] }],
    ['a stray ACK', tcpTo(22, 'A'), null, {}],
    ['NULL, on a trap connection too', tcpTo(22, ''), child, {}],
    ['SYN+FIN, on a trap connection too', tcpTo(22, 'SF'), child, {}],
    ['a datagram to a service', v4(udp({ to: 161 })), { ...service, port: 161 }, {}],
    ['a datagram to a port that is no trap', v4(udp({ to: 162 })), null, {}],
    ['DHCP', v4(udp({ from: 67, to: 68 })), null, { trapPorts: [{ transport: 'udp', port: 68 }] }],
    [
      'an answer to a flow of ours',
      v4(udp({ from: 53, to: 161 })),
      null,
      { flowsOut: [{ protocol: 'udp', remote: BAD, remotePort: 53, localPort: 161, atNs: -SECOND }] },
    ],
    ['an echo request', v4(echo()), null, {}],
    ['router advertisement', v6(icmp(134, body)), null, {}],
    ['neighbour discovery that is cut short', v6(icmp(135, new Uint8Array(3))), null, {}],
    ['a first fragment', v4(tcp({ to: 22 }), { fragment: { offset: 0, more: true } }), null, {}],
    ['a later fragment', v4(tcp({ to: 22 }), { fragment: { offset: 100, more: false } }), null, {}],
    ['what is for another host', v4(tcp({ to: 22 }), { to: '192.0.2.1' }), null, {}],
    ['a SYN while the traps are dead', tcpTo(22, 'S'), null, { heartbeatNs: -3n * SECOND }],
    ['data of a trap connection while the traps are dead', tcpTo(22, 'PA'), child, { heartbeatNs: null }],
    ['anything where traps are off', tcpTo(22, 'PA'), { ...child, mark: 0 }, { settings: { ...settings, trapMark: 0 } }],
  ])('%s', (_, frame, socket, more) => {
    const { verdict, events } = judge(frame, more, socket);
    expect([verdict, events.map(({ kind }) => kind)]).toEqual(['drop-confined', ['ban-hit']]);
  });
});

test('the third port is told and shunned, and the source let in; above the rate it is dropped, and shunned once', () => {
  const oracle = createOracle({ ...scenario, settings: { ...settings, synPerSecond: 4, fastPorts: 1 } }, NOW);
  const seen = Array.from({ length: 7 }, () => oracle.judge(tcpTo(22, 'S'), NOW));
  expect(seen.map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'pass', 'pass', 'drop-flood', 'drop-flood', 'drop-flood']);
  expect(seen.flatMap(({ events }) => events.map(({ kind }) => kind))).toEqual(['touch', 'scan']);
  expect([...oracle.model.shuns.values()].map(({ repeats }) => repeats)).toEqual([0]);
});
