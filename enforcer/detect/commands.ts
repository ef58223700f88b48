/** What is said to a shell, or smuggled to one: orders, and downloads in the ways that droppers have. */
import { BODY, HEADER, hidden, LINE, OPAQUE, order, type Rule, SERVICE, SHELL, TARGET, transfer, WEB } from './rules.ts';

/** Something to fetch from: a URL, an address, a name with a path. */
const FROM = String.raw`['"]?(?:[hf]ttps?:|tftp:|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}[:/])`;
const ARGUMENTS = String.raw`\s(?:[^|;&\n]{0,160}\s)?`;
/** Outside of a shell a verb is one only where a command may begin: prose and searches speak of wget, too. */
const SMUGGLED = String.raw`(?<=[;|&(\x60\n{'"*:]\s{0,4}|[\w]{0,16}(?:cmd|command|exec|execute|shell|run|ping|host|ip|addr|c|x)\d?=\s{0,4}|\/bin\/(?:busybox\s{1,4})?|busybox\s{1,4}|sudo\s{1,4})`;
const BEGUN = String.raw`(?<![\w.-])`;

const typed = (verb: string, rest: string): RegExp => new RegExp(`${BEGUN}${verb}(?:\\.exe)?${rest}`);
const smuggled = (verb: string, rest: string): RegExp => new RegExp(`${SMUGGLED}${verb}(?:\\.exe)?${rest}`);

/** The same rule twice: typed into a shell, and smuggled into something else. */
function everywhere(make: typeof order, name: string, words: readonly string[], verb: string, rest: string): readonly Rule[] {
  return [make(name, { places: SHELL, words, shape: typed(verb, rest) }), make(name, { places: WEB | SERVICE, words, shape: smuggled(verb, rest) })];
}

export const COMMAND_RULES: readonly Rule[] = [
  ...everywhere(
    transfer,
    'download',
    ['wget', 'curl', 'fetch ', 'lwp-download', 'axel ', 'aria2c'],
    '(?:wget|curl|fetch|lwp-download|axel|aria2c)',
    ARGUMENTS + FROM,
  ),
  ...everywhere(
    transfer,
    'download',
    ['tftp', 'ftpget', 'ftp ', 'scp ', 'sftp ', 'rsync '],
    '(?:tftp|ftpget|ftp|scp|sftp|rsync)',
    String.raw`\s[^|;&\n]{0,160}?\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`,
  ),
  ...everywhere(transfer, 'download-windows', ['certutil'], 'certutil', String.raw`\s[^|;&\n]{0,80}(?:urlcache|verifyctl|-decode|\/decode)`),
  ...everywhere(
    transfer,
    'download-windows',
    ['bitsadmin', 'mshta', 'regsvr32', 'msiexec', 'desktopimgdownldr', 'hh.exe'],
    '(?:bitsadmin|mshta|regsvr32|msiexec|desktopimgdownldr|hh)',
    String.raw`\s[^|&\n]{0,120}https?:`,
  ),
  transfer('download-windows', {
    places: SHELL | WEB | SERVICE,
    words: ['downloadstring(', 'downloadfile(', 'downloaddata(', 'invoke-webrequest', 'start-bitstransfer', 'iwr ', 'invoke-restmethod', 'msxml2.xmlhttp'],
    shape: /(?:download(?:string|file|data)\(|(?:invoke-webrequest|start-bitstransfer|iwr|invoke-restmethod)\s[^|;\n]{0,120}https?:|msxml2\.xmlhttp)/,
  }),
  // Bytes of a program, written with echo or printf: what a host without wget gets.
  transfer('dropper', { places: SHELL | WEB | SERVICE, words: ['\\x7f\\x45\\x4c\\x46', '\\x7felf', '\\177elf', '\\177\\105\\114\\106', '\\0177\\0105'] }),
  transfer('dropper', { places: SHELL, words: ['echo ', 'printf '], shape: /(?:echo|printf)\s(?:-[ne]{1,2}\s){0,2}['"]?(?:\\\\?x[0-9a-f]{2}){8}/ }),
  transfer('program', {
    places: BODY | OPAQUE | LINE,
    words: ['\x7felf\x01\x01', '\x7felf\x01\x02', '\x7felf\x02\x01', 'this program cannot be run in dos mode'],
  }),
  transfer('sftp', { places: SHELL, words: ['subsystem sftp'], shape: /(?<=^)subsystem sftp/, protocols: ['ssh'] }),
  order('ssh-forward', {
    places: SHELL,
    words: ['tcpip-forward ', 'direct-tcpip ', 'direct-streamlocal '],
    shape: /(?<=^)(?:tcpip-forward|direct-tcpip|direct-streamlocal) \S/,
    protocols: ['ssh'],
  }),
  transfer('adb-push', { places: SHELL | LINE, words: ['sync:'], shape: /^/, protocols: ['adb'] }),
  transfer('adb-push', { places: OPAQUE, words: ['send'], shape: /SEND.{4}\//, protocols: ['adb'], exact: true }),

  order('pipe-to-shell', {
    places: SHELL | WEB | SERVICE,
    words: ['|sh', '| sh', '|bash', '| bash', '|/bin/', '| /bin/', '|python', '| python', '|perl', '| perl', '|sudo', '| sudo'],
    shape: /\|\s?(?:sudo\s)?(?:\/bin\/|\/usr\/bin\/)?(?:ba|da|a|z)?(?:sh|python[23]?|perl)(?=$|[\s;&|"'`)<>\\])/,
  }),
  order('reverse-shell', {
    places: SHELL | WEB | SERVICE,
    words: ['/dev/tcp/', '/dev/udp/', 'bash -i', 'sh -i', 'mkfifo ', 'pty.spawn', 'nc -', 'ncat ', 'netcat ', 'telnetd ', 'socat '],
    shape:
      /\/dev\/(?:tcp|udp)\/[\w.-]{1,64}\/|(?:ba)?sh -i\s?(?:[>2&<]|$)|mkfifo \/|pty\.spawn|(?:nc|ncat|netcat) (?:[^|;\n]{0,40} )?-[a-z]{0,4}[ec][a-z]{0,2} |telnetd -[plb]|socat (?:exec|tcp)/,
  }),
  order('bot-check', { places: SHELL, words: ['busybox '], shape: /busybox [A-Z0-9]{4,12}(?=$|[\s;&|])/, exact: true }),
  order('miner', {
    places: SHELL | WEB | SERVICE,
    words: ['xmrig', 'minerd', 'stratum+tcp', 'stratum+ssl', 'c3pool', 'supportxmr', 'nanopool', 'kinsing', 'kdevtmpfsi'],
  }),
  order('persistence', {
    places: SHELL | SERVICE | WEB,
    words: [
      'crontab',
      '/etc/cron',
      '/var/spool/cron',
      'authorized_keys',
      '/etc/rc.local',
      '/etc/init.d/',
      '/etc/ld.so.preload',
      '/etc/systemd/system',
      'schtasks ',
      'useradd ',
      'chpasswd',
    ],
    shape:
      /crontab\s{1,4}(?:-(?:[lreu]|$|\s)|\/|[\w.]{1,32}(?:$|[\s;]))|\/etc\/(?:cron|rc\.local|init\.d\/|ld\.so\.preload|systemd\/system)|\/var\/spool\/cron|(?<=[>/"'\s]{1,4}[^|;\n]{0,80})authorized_keys|schtasks\s{1,4}\/create|useradd\s{1,4}-|chpasswd(?=$|[\s"'`;])/,
  }),
  order('defences-off', {
    places: SHELL | WEB | SERVICE,
    words: ['iptables -', 'ufw disable', 'setenforce 0', 'history -c', 'histfile', 'chattr -', 'pkill ', 'killall ', 'systemctl stop', 'set-mppreference'],
    shape:
      /iptables -[fx](?=$|[\s;&|])|ufw disable|setenforce 0|history -c|histfile(?:=\/dev\/null|$|[\s;])|chattr -[iaeu]{1,4} |(?<=(?:^|[;&|`(])\s{0,4})(?:pkill|killall) -|systemctl stop (?:firewalld|iptables|aliyun|apparmor|auditd)|set-mppreference -dis/,
  }),
  order('wipe', {
    places: SHELL | WEB | SERVICE,
    words: ['rm -rf', 'rm -fr', 'dd if=', 'mkfs', ':(){'],
    shape:
      /rm -(?:rf|fr)\s{1,4}(?:--no-preserve-root\s)?(?:\/(?:\*|$|[\s;&|"'])|\/(?:tmp|var|root|home|etc|usr|bin)\b|\*|~)|dd if=\/dev\/(?:zero|u?random) of=\/|mkfs\.\w{2,5} \/dev|:\(\)\{\s?:\s?\|/,
  }),

  // Smuggled where a command may begin, with what makes it one: `;id`, `|cat /etc/passwd`, `$(whoami)`.
  order('shell-injection', {
    places: TARGET | BODY | LINE,
    words: [';id', '; id', '|id', '| id', '`id`', '$(id)', '&&id', '&& id'],
    shape: /[;|`(&]{1,2}\s?\(?id(?=$|[;|&`)"'#]|\s{1,2}(?:$|[^=\w]))/,
  }),
  order('shell-injection', {
    places: TARGET | BODY | LINE | HEADER,
    words: [
      'cat /',
      'whoami',
      'uname',
      'ls ',
      'cd /',
      'chmod ',
      'sleep ',
      'ping -',
      'nslookup ',
      'busybox',
      'echo ',
      'ifconfig',
      'powershell',
      'cmd.exe',
      'cmd /c',
      'type c:',
      'touch /',
      'expr ',
      'printenv',
      'ps aux',
      'netstat',
      'nohup ',
      'telnet ',
      'rm ',
      'killall ',
      'dir c:',
      'set /a',
      'ipconfig',
      'python',
      'perl -e',
      'php -r',
      'bash -c',
      'sh -c',
      'sh /',
      '/bin/',
    ],
    shape:
      /(?<=(?:[;|`\n]|&&|\$\(|%0a|<\()\s{0,4}(?:\/usr)?(?:\/bin\/)?)(?:cat \/|whoami(?=$|[^\w=])|uname(?=$|\s-|[;|`)])|ls (?:-|\/)|cd \/(?:tmp|var|dev|root|mnt|run|usr)?|chmod [0-7+]|sleep \d|ping -[cn]|nslookup [\w.-]{4}|busybox(?=\s)|echo [^;|\n]{0,80}[;|`)>]|echo \w{6,64}$|i[fp]config(?=$|[^\w=])|powershell(?:\.exe)?\s|cmd(?:\.exe)?\s\/c|type c:|touch \/|expr \d|printenv(?=$|[^\w=])|ps aux|netstat(?=$|\s)|nohup \S|telnet \d|rm -|killall \S|dir c:|set \/a|python\d?(?:\.\d{1,2})?\s-c|perl -e|php -r|(?:ba)?sh -c|sh \/|\/(?:usr\/)?bin\/(?:ba|da|a|z)?(?:sh|cat|id|uname|busybox|wget|curl|echo|ping|sleep)(?=$|\W))/,
  }),
  // A parameter that is a command and nothing else.
  order('command-parameter', {
    places: TARGET | BODY,
    words: ['cmd=', 'command=', 'exec=', 'execute=', 'shell='],
    shape:
      /(?<=^|[?&\s;]|[?&](?:sys|shell|ping|do))(?:cmd|command|exec|execute|shell)=\s{0,2}['"]?(?:\/bin\/|\/usr\/bin\/)?(?:(?:id|whoami|uname|ls|pwd|dir|i[fp]config)(?=$|[\s;&|'"#])|(?:cat|ls|wget|curl|cd|echo|ping|sleep|powershell|busybox|rm|chmod|sh|bash|nc|python|perl|php|dir|type)\s(?=\S))/,
  }),
  order('shell-words', { places: TARGET | BODY | HEADER, words: ['$ifs', '{ifs'], shape: /\$?\{?ifs(?=[}$;%/\w-])/ }),

  // What a program is hidden in; that it runs is said by the other rules.
  order('encoded-command', {
    places: SHELL | WEB | SERVICE,
    words: ['powershell', 'pwsh'],
    shape: /(?:powershell|pwsh)(?:\.exe)?['"]?\s[^|\n]{0,160}?-e[a-z]{0,14}\s{1,4}['"]?[A-Za-z0-9+/=]{24}/,
  }),
  order('encoded-command', {
    places: SHELL | WEB | SERVICE,
    words: ['base64 -', 'base64 --decode', 'b64decode(', 'xxd -r', 'openssl enc'],
    shape:
      /base64 (?:-[a-z]{0,2}d|-D|--decode)[^|\n]{0,80}\|\s?(?:\/bin\/)?(?:ba|da|a|z)?(?:sh|python\d?|perl)|exec\(.{0,40}b64decode\(|b64decode\([^)]{16,400}\).{0,16}exec|xxd -r[^|\n]{0,40}\|\s?(?:ba)?sh|openssl enc -d/,
  }),
  hidden('encoded-text', {
    places: SHELL | WEB | SERVICE,
    words: ['base64 -', 'base64_decode(', 'frombase64string(', 'b64decode(', 'xxd -r'],
    shape: /base64 (?:-[a-z]{0,2}d|-D|--decode)|base64_decode\(|frombase64string\(|b64decode\(|xxd -r/,
  }),
];
