/** What the host says of itself when a script asks: the answers that bots look at before they stay, coherent with the persona. Lines end in LF. */
import { oncePerPersona, type Persona } from './persona.ts';

/** By the command line, without redirections. */
export const factsOf = oncePerPersona((persona: Persona): ReadonlyMap<string, string> => {
  const { kernel, kernelBuild, name, family } = persona.release;
  const processors = persona.pick('processors', [1, 2, 4]);
  const model = persona.pick('processor-model', MODELS);
  const megabytes = persona.pick('memory', [1967, 3919, 7941]);
  const used = persona.between('memory-used', 180, 900);
  const cached = persona.between('memory-cached', 300, 900);
  const days = persona.between('uptime-days', 12, 160);
  const machine = family === 'debian' ? 'x86_64 GNU/Linux' : 'x86_64 x86_64 x86_64 GNU/Linux';
  const uptime = ` 10:2${persona.between('uptime-minute', 0, 9)}:41 up ${days} days, ${persona.between('uptime-hours', 1, 23)}:17,  1 user,  load average: 0.08, 0.03, 0.01`;
  const disk = `/dev/${persona.pick('disk', ['sda1', 'vda1', 'nvme0n1p1'])}        40G   11G   27G  29% /`;
  return new Map(
    Object.entries({
      hostname: persona.hostName,
      'hostname -f': persona.fullName,
      uname: 'Linux',
      'uname -s': 'Linux',
      'uname -r': kernel,
      'uname -m': 'x86_64',
      'uname -n': persona.hostName,
      'uname -v': kernelBuild,
      'uname -a': `Linux ${persona.hostName} ${kernel} ${kernelBuild} ${machine}`,
      'uname -s -v -n -r -m': `Linux ${persona.hostName} ${kernel} ${kernelBuild} x86_64`,
      'uname -s -m': 'Linux x86_64',
      arch: 'x86_64',
      nproc: String(processors),
      tty: '/dev/pts/0',
      uptime,
      w: `${uptime}\nUSER     TTY      FROM             LOGIN@   IDLE   JCPU   PCPU WHAT\nroot     pts/0    -                10:17    1.00s  0.02s  0.00s w`,
      'cat /proc/version': `Linux version ${kernel} ${kernelBuild}`,
      'cat /etc/os-release': `PRETTY_NAME="${name}"\nNAME="${name.split(' ').slice(0, -2).join(' ') || name}"\nID=${family === 'rhel' ? 'rocky' : family}`,
      'cat /etc/issue': `${name.replace(/ \(.*/, '')} \\n \\l`,
      'cat /proc/cpuinfo': Array.from({ length: processors }, (_none, at) => processor(at, model, processors)).join('\n\n'),
      lscpu: `Architecture:            x86_64\nCPU(s):                  ${processors}\nVendor ID:               GenuineIntel\nModel name:              ${model}`,
      'cat /proc/uptime': `${days * 86_400 + 4321}.17 ${days * 86_400 * processors}.20`,
      'cat /proc/meminfo': `MemTotal:        ${megabytes * 1024} kB\nMemFree:         ${(megabytes - used - cached) * 1024} kB\nMemAvailable:    ${(megabytes - used) * 1024} kB`,
      'free -m': [
        '               total        used        free      shared  buff/cache   available',
        `Mem:   ${column(megabytes)}${column(used)}${column(megabytes - used - cached)}${column(3)}${column(cached)}${column(megabytes - used - 90)}`,
        `Swap:  ${column(0)}${column(0)}${column(0)}`,
      ].join('\n'),
      'df -h': `Filesystem      Size  Used Avail Use% Mounted on\n${disk}`,
      'df -h /': `Filesystem      Size  Used Avail Use% Mounted on\n${disk}`,
      'which ls': '/usr/bin/ls',
      'ls -lh /usr/bin/ls': '-rwxr-xr-x 1 root root 148K Sep 20  2022 /usr/bin/ls',
      'ls -lh $(which ls)': '-rwxr-xr-x 1 root root 148K Sep 20  2022 /usr/bin/ls',
    }),
  );
});

const MODELS = ['Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz', 'Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz', 'Intel Xeon Processor (Skylake, IBRS)'] as const;

const column = (number: number): string => String(number).padStart(12);

function processor(at: number, model: string, of: number): string {
  const fields = [
    ['processor', at],
    ['vendor_id', 'GenuineIntel'],
    ['cpu family', 6],
    ['model', 85],
    ['model name', model],
    ['cpu MHz', '2399.996'],
    ['cache size', '16384 KB'],
    ['siblings', of],
    ['cpu cores', of],
  ] as const;
  return fields.map(([name, value]) => `${name}${name.length < 8 ? '\t' : ''}\t: ${value}`).join('\n');
}
