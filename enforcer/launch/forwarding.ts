/** Asks nft, iptables and IPVS which ports this host forwards. Needs privilege, so it is the launcher's task. */
import { execFile } from 'node:child_process';
import { readBounded } from '../health/machine.ts';
import type { ServedPorts } from '../kernel/port.ts';
import { mergePorts, parseIptablesSave, parseIpvs, parseNftRuleset } from './published-ports.ts';

export interface Forwarding {
  readonly served: ServedPorts;
  /** What was there and did not answer: its former answer stands. */
  readonly troubles: readonly string[];
}

export interface ForwardingReader {
  read(): Promise<Forwarding>;
}

const TOOL_MS = 5_000;
const LARGEST_RULESET = 64 * 1024 * 1024;
const LARGEST_IPVS = 4 * 1024 * 1024;
const NONE: ServedPorts = { tcp: [], udp: [] };

const TOOLS: readonly { readonly command: string; readonly args: readonly string[]; readonly parse: (text: string) => ServedPorts | undefined }[] = [
  { command: 'nft', args: ['-j', 'list', 'ruleset'], parse: parseNftRuleset },
  { command: 'iptables-save', args: [], parse: parseIptablesSave },
  { command: 'ip6tables-save', args: [], parse: parseIptablesSave },
];

export function createForwardingReader(): ForwardingReader {
  const last = new Map<string, ServedPorts>();
  return {
    async read() {
      const troubles: string[] = [];
      await Promise.all(
        TOOLS.map(async ({ command, args, parse }) => {
          const answer = await run(command, args);
          if (answer === 'absent') return void last.delete(command);
          const ports = typeof answer === 'string' ? undefined : parse(answer.stdout);
          if (ports === undefined) troubles.push(`${command} ${args.join(' ')}`.trim());
          else last.set(command, ports);
        }),
      );
      const ipvs = parseIpvs(readBounded('/proc/net/ip_vs', LARGEST_IPVS));
      return { served: mergePorts([NONE, ipvs, ...last.values()]), troubles };
    },
  };
}

function run(command: string, args: readonly string[]): Promise<{ readonly stdout: string } | 'absent' | 'failed'> {
  const env = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
  return new Promise(resolve => {
    execFile(command, args, { env, timeout: TOOL_MS, maxBuffer: LARGEST_RULESET, encoding: 'utf8' }, (error, stdout) => {
      if (error === null) resolve({ stdout });
      else resolve(error.code === 'ENOENT' ? 'absent' : 'failed');
    });
  });
}
