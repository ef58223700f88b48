/** Log-ins: what counts as a guess, and which pairs come from the lists that botnets carry. */
import { type Finding, LONGEST_QUOTE } from '@honeymesh/intel/findings';
import type { Observation } from '@honeymesh/intel/observations';

/** User, then the secrets that factories and installers gave it, or that Mirai and its heirs try first. `-` stands for an empty secret. */
const DEFAULT_SECRETS: Readonly<Record<string, string>> = {
  root: `- root toor admin administrator pass password passwd password1 p@ssw0rd 1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 54321 111111 000000
    00000000 666666 888888 88888888 xc3511 vizxv juantech xmhdipc default klv123 klv1234 Zte521 hi3518 jvbzd anko zlxx. 7ujMko0vizxv 7ujMko0admin system ikwb
    dreambox user realtek 1111 cat1029 ahetzip8 tsgoingon calvin alpine raspberry raspberrypi oelinux123 S2fGqNFs 5up hslwificam hunt5759 antslq GM8182 tl789
    grouter telnet 2011vsta zsun1188 swsbzkgn solokey w5c8u9h1 taZz@23495859 hkipc2016 unisheen pon521 dvr2580222 founder88 juniper123 20080826 20150602 cisco
    changeme qwerty q1w2e3r4 1q2w3e4r admin123 root123 Root123 test ubnt huigu309 123123 abc123 iDirect ascend attack blender bananapi orangepi odroid linux
    nosoup4u fidel123 mysql postgres oracle password123 letmein server nas4free openmediavault libreelec osmc kali vagrant`,
  admin: `- admin password pass passwd admin1 admin12 admin123 admin1234 admin@123 Admin@123 Admin123 adminadmin administrator 1 12 123 1234 12345 123456 1234567
    12345678 123456789 1111 1111111 111111 000000 0000 4321 54321 smcadmin meinsm 7ujMko0admin epicrouter conexant comcomcom motorola default public private
    secret ubnt cisco switch router system test changeme letmein qwerty symbol hp.com wbox123 9999 jvc tlJwpbo6 ho4uku6at gvt12345 cat1029 ZmqVfoSIP CenturyL1nk
    QwestM0dem pfsense dvr2580222 service superuser synnet diamond michelangelo netgear1 zoomadsl zyxel netscreen bintec airlive utstar superadmin ac5524
    root vertex25 EASYCAM fliradmin ikwd ipcam ipcam_rt5350 camera stemroot operator tomcat manager s3cret zabbix grafana nexus3 minioadmin rabbitmq activemq`,
  Admin: '- admin Admin zabbix 1234 5001 123456 password',
  administrator: '- admin administrator password 1234 12345 123456 meinsm Administrator P@ssw0rd Passw0rd Password1',
  Administrator: '- admin Administrator password Password 123456 1234 meinsm P@ssw0rd Passw0rd Password1 Admin@123 manage',
  user: '- user password 1234 12345 123456 user123 user1 root admin',
  guest: '- guest 12345 123456 1234 password xc3511 1111',
  support: '- support admin password 1234 12345 123456 zlxx. 123',
  supervisor: '- supervisor zyad1234 zlxx. 1234',
  superadmin: 'superadmin admin Is$uper@dmin Is$Sup3rAdm1n',
  service: '- service ipdongle 1234',
  tech: '- tech ANYCOM ILMI',
  mother: 'fucker',
  telnet: '- telnet',
  telnetadmin: 'telnetadmin',
  telecomadmin: 'admintelecom nE7jA%5m',
  default: '- default OxhlwSG8 S2fGqNFs tlJwpbo6 lJwpbo6 antslq 1cDuLJ7c video 123456 password admin root foobared redis redis123 1234 123',
  daemon: '- daemon',
  bin: '-',
  adm: '-',
  ubnt: '- ubnt',
  pi: 'raspberry raspberryraspberry993311 pi',
  ftp: 'ftp',
  ftpuser: 'ftpuser ftp password 123456 asteriskftp',
  ftpadmin: 'ftpadmin',
  www: 'www',
  'www-data': 'www-data',
  anonymous: '-',
  test: '- test test123 test1234 1234 12345 123456 password',
  tester: 'tester 123456',
  demo: 'demo',
  oracle: 'oracle oracle123 123456 password',
  postgres: '- postgres password postgres123 admin 123456 1234',
  mysql: '- mysql password 123456',
  sa: '- sa password Password1 P@ssw0rd 123 1234 12345 123456 sql sqlserver admin root',
  mssql: 'mssql 123456',
  mongo: 'mongo',
  elastic: 'elastic changeme password',
  kibana: 'kibana changeme',
  tomcat: 'tomcat s3cret admin password changethis role1',
  both: 'tomcat',
  role1: 'role1 tomcat',
  manager: 'manager friend admin',
  jenkins: 'jenkins',
  nagios: 'nagios',
  nagiosadmin: 'nagiosadmin nagios',
  zabbix: 'zabbix',
  git: 'git',
  hadoop: 'hadoop',
  spark: 'spark',
  minecraft: 'minecraft server',
  steam: 'steam',
  ubuntu: 'ubuntu ubuntu123 123456 password',
  debian: 'debian temppwd',
  centos: 'centos',
  'ec2-user': 'ec2-user',
  vagrant: 'vagrant',
  deploy: 'deploy deploy123',
  dev: 'dev dev123 123456',
  backup: 'backup',
  operator: '- operator 1234',
  cisco: 'cisco',
  Cisco: 'Cisco',
  enable: '- system cisco',
  mtnl: 'mtnl',
  '666666': '666666',
  '888888': '888888',
  admin1: 'password admin1',
  admin2: 'admin2',
  adminttd: 'adminttd',
  CMCCAdmin: 'aDm8H%MdA',
  CUAdmin: 'CUAdmin',
  e8ehome: 'e8ehome',
  e8telnet: 'e8telnet',
  hikvision: 'hikvision',
  nobody: 'nobody',
  netscreen: 'netscreen',
  Alphanetworks: 'wrgg19_c_dlwbr_dir300 wrgn49_dlob_dir600b',
  vyos: 'vyos',
  osmc: 'osmc',
  plcmspip: 'plcmspip',
  PlcmSpIp: 'PlcmSpIp',
  Polycom: '456',
  '100': '100 1234',
  '1001': '1001 1234',
  minioadmin: 'minioadmin',
  rabbitmq: 'rabbitmq',
  mosquitto: 'mosquitto',
  mqtt: 'mqtt',
  activemq: 'activemq',
  system: 'manager system oracle',
  scott: 'tiger',
  weblogic: 'weblogic weblogic1 welcome1 Oracle@123',
  airflow: 'airflow',
  solr: 'SolrRocks',
  ADMIN: 'ADMIN',
  USERID: 'PASSW0RD',
};

/** Communities that agents ship with, or that are tried first. */
const DEFAULT_COMMUNITIES = new Set(
  'public private community cisco manager admin snmp snmpd monitor default write read secret test guest all rw ro security tivoli openview ILMI cable-docsis internal'.split(
    ' ',
  ),
);

const DEFAULT_PAIRS = new Set(
  Object.entries(DEFAULT_SECRETS).flatMap(([user, secrets]) => secrets.split(/\s+/).map(secret => `${user}\0${secret === '-' ? '' : secret}`)),
);

/** HTTP's ways to show who one is that are no guess of a password: a token, a ticket, a signature. */
const GUESSABLE_WEB_SCHEMES = new Set(['digest', 'basic']);
const WEB_PROTOCOLS = new Set(['http', 'http-proxy', 'docker', 'kubernetes', 'elasticsearch']);
const ANONYMOUS_USERS = new Set(['anonymous', 'ftp']);
const ANONYMOUS_SECRETS = new Set(['', 'anonymous', 'guest', 'ftp']);

/** A log-in is a guess unless it is anonymous FTP, a token, a name without a secret that is no default, or an SNMP community that is none. */
export function judgeCredentials(protocol: string, { user, secret, scheme }: Extract<Observation, { kind: 'credentials' }>): readonly Finding[] {
  if (protocol === 'snmp') return DEFAULT_COMMUNITIES.has(secret) ? [guess(user), byDefault(secret)] : [];
  if (protocol === 'ftp' && isAnonymous(user, secret)) return [];
  if (secret === '' && (user === '' || protocol === 'rdp')) return []; // a desktop asks for the password on its own screen
  if (scheme === undefined && DEFAULT_PAIRS.has(`${user}\0${secret}`)) return [guess(user), byDefault(`${user}:${secret}`)];
  if (secret === '' || scheme === 'ident') return [];
  if (scheme !== undefined && WEB_PROTOCOLS.has(protocol) && !GUESSABLE_WEB_SCHEMES.has(scheme)) return [];
  return [guess(user)];
}

/** RFC 1635: the secret is a mail address, or what clients write in its place. */
const isAnonymous = (user: string, secret: string): boolean =>
  ANONYMOUS_USERS.has(user.toLowerCase()) && (secret.includes('@') || ANONYMOUS_SECRETS.has(secret.toLowerCase()));

/** The secret itself is in the receipt's credentials, where it can be masked: it may be somebody's real one. */
const guess = (user: string): Finding => ({ rule: 'password-guess', reason: 'brute-force', kind: 'credentials', quote: user.slice(0, LONGEST_QUOTE) });
const byDefault = (pair: string): Finding => ({
  rule: 'default-credentials',
  reason: 'default-credentials',
  kind: 'credentials',
  quote: pair.slice(0, LONGEST_QUOTE),
});
