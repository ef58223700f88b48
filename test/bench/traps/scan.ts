/** What `nmap -sV` believes of a host of decoys. */
import type { Namespace } from '#test/support/namespaces.ts';
import { HOST } from './wire.ts';

/** A port, and how nmap names what is meant to be there: by service, or by product where the service is but HTTP. */
export type Intended = Readonly<Record<number, RegExp>>;

export const TCP_DECOYS: Intended = {
  21: /^ftp/,
  22: /^ssh/,
  23: /^telnet/,
  25: /^smtp/,
  80: /^http/,
  110: /^pop3/,
  143: /^imap/,
  389: /^ldap/,
  443: /^https?/,
  445: /^(?:microsoft-ds|netbios-ssn)/,
  554: /^rtsp/,
  873: /^rsync/,
  1080: /^socks/,
  1433: /^ms-sql-s/,
  1883: /^(?:mqtt|mosquitto)/,
  2375: /^docker/,
  3128: /^http-proxy/,
  3306: /^mysql/,
  3389: /^ms-wbt-server/,
  5060: /^sip/,
  5432: /^postgresql/,
  5555: /^adb/,
  5900: /^vnc/,
  6379: /^redis/,
  6443: /kubernetes|golang/i,
  8080: /^http/,
  9200: /elasticsearch/i,
  9418: /^git/,
  11211: /^memcached?/,
  27017: /^mongodb?/,
};
/** SSDP is left out: nmap 7.93 has no probe that a device would answer, and tries all that it has for 100 s. */
export const UDP_DECOYS: Intended = { 53: /^domain/, 69: /^tftp/, 123: /^ntp/, 137: /^netbios-ns/, 161: /^snmp/, 5060: /^sip/ };

export const OPENCANARY_TCP: Intended = {
  21: /^ftp/,
  22: /^ssh/,
  23: /^telnet/,
  80: /^http/,
  1433: /^ms-sql-s/,
  3306: /^mysql/,
  3389: /^ms-wbt-server/,
  5000: /^vnc/,
  6379: /^redis/,
  8080: /^http-proxy/,
  9418: /^git/,
  27017: /^mongodb?/,
};
export const OPENCANARY_UDP: Intended = { 69: /^tftp/, 123: /^ntp/, 161: /^snmp/, 5060: /^sip/ };

export interface NamedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** `service product`, where nmap found out by what was answered; empty where it only knows the port's usual name. */
  readonly name: string;
  readonly system: string | null;
}

export interface Scan {
  readonly tcp: number;
  readonly udp: number;
  readonly seconds: number;
  readonly systems: readonly string[];
  /** Ports that were named otherwise or not at all, such as `tcp 445`. */
  readonly missed: readonly string[];
}

const LONGEST_MS = 600_000;

export async function scan(from: Namespace, tcp: Intended, udp: Intended): Promise<Scan> {
  const ports = `T:${Object.keys(tcp).join(',')},U:${Object.keys(udp).join(',')}`;
  const startedMs = performance.now();
  const { stdout } = await from.run(['nmap', '-n', '-Pn', '-sS', '-sU', '-sV', '-p', ports, '-oX', '-', HOST], { timeoutMs: LONGEST_MS });
  return judge(readPorts(stdout), tcp, udp, (performance.now() - startedMs) / 1_000);
}

export function judge(named: readonly NamedPort[], tcp: Intended, udp: Intended, seconds: number): Scan {
  const missed: string[] = [];
  const count = (protocol: 'tcp' | 'udp', intended: Intended): number =>
    Object.entries(intended).filter(([port, pattern]) => {
      const one = named.find(found => found.protocol === protocol && found.port === Number(port));
      const right = one !== undefined && one.name !== '' && one.name.split(' ').some((_, at, words) => pattern.test(words.slice(at).join(' ')));
      if (!right) missed.push(`${protocol} ${port}${one === undefined || one.name === '' ? '' : ` (${one.name})`}`);
      return right;
    }).length;
  const systems = systemsOf(named);
  return { tcp: count('tcp', tcp), udp: count('udp', udp), seconds, systems, missed };
}

/** Some services say that they run on Unix, whatever Unix it is: beside Linux that is no other system. */
function systemsOf(named: readonly NamedPort[]): readonly string[] {
  const systems = new Set(named.flatMap(({ system }) => system?.toLowerCase() ?? []));
  if (systems.has('linux')) systems.delete('unix');
  return [...systems];
}

/** The ports of nmap's XML (-oX). */
export function readPorts(xml: string): readonly NamedPort[] {
  return [...xml.matchAll(/<port protocol="(tcp|udp)" portid="(\d+)">(.*?)<\/port>/gs)].map(([, protocol, port, inside = '']) => {
    const service = /<service ([^>]*)/.exec(inside)?.[1] ?? '';
    const attribute = (name: string): string | undefined => new RegExp(`\\b${name}="([^"]*)"`).exec(service)?.[1];
    const probed = attribute('method') === 'probed';
    return {
      protocol: protocol === 'udp' ? 'udp' : 'tcp',
      port: Number(port),
      name: probed ? [attribute('name'), attribute('product'), attribute('extrainfo')].filter(Boolean).join(' ') : '',
      system: attribute('ostype') ?? null,
    };
  });
}
