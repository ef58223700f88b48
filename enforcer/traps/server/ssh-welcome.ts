/** What a shell of the release says to who logs in. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { Persona } from '../protocols/persona.ts';

export function welcome(persona: Persona, at: UnixMs): string {
  const { family, name, kernel, kernelBuild } = persona.release;
  const last = `Last login: ${asLastlog(persona.startedAt('last-login', at))} from 10.${persona.between('admin-net', 0, 63)}.${persona.between('admin-host', 2, 250)}.12\r\n`;
  switch (family) {
    case 'debian':
      return [
        `Linux ${persona.hostName} ${kernel} ${kernelBuild} x86_64`,
        '',
        'The programs included with the Debian GNU/Linux system are free software;',
        'the exact distribution terms for each program are described in the',
        'individual files in /usr/share/doc/*/copyright.',
        '',
        'Debian GNU/Linux comes with ABSOLUTELY NO WARRANTY, to the extent',
        'permitted by applicable law.',
        last,
      ].join('\r\n');
    case 'ubuntu':
      return [
        `Welcome to ${name} (GNU/Linux ${kernel} x86_64)`,
        '',
        ' * Documentation:  https://help.ubuntu.com',
        ' * Management:     https://landscape.canonical.com',
        ' * Support:        https://ubuntu.com/pro',
        '',
        last,
      ].join('\r\n');
    case 'rhel':
      return `Activate the web console with: systemctl enable --now cockpit.socket\r\n\r\n${last}`;
  }
}

/** `Sun Nov  6 08:49:37 1994` */
function asLastlog(at: UnixMs): string {
  const [weekday = '', day = '', month = '', year = '', clock = ''] = new Date(at).toUTCString().split(' ');
  return `${weekday.replace(',', '')} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}
