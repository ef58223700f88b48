/** The protocols whose messages are text, or nearly. */
import { createAdbTrap } from './adb.ts';
import { createDockerTrap } from './docker.ts';
import { createElasticsearchTrap } from './elasticsearch.ts';
import { createFtpTrap } from './ftp.ts';
import { createGitTrap } from './git.ts';
import { createRsyncTrap, createSshGreetingTrap } from './greeting.ts';
import { createHttpTrap } from './http.ts';
import { createHttpProxyTrap } from './http-proxy.ts';
import { createKubeletTrap, createKubernetesTrap } from './kubernetes.ts';
import { textOf } from './lines.ts';
import type { ProtocolFactory, Recognition, TrapProtocol } from './machine.ts';
import { createImapTrap, createPop3Trap } from './mailbox.ts';
import { createMemcachedTrap } from './memcached.ts';
import { createMqttTrap } from './mqtt.ts';
import { createRedisTrap } from './redis.ts';
import { createRtspTrap } from './rtsp.ts';
import { createSipTrap } from './sip.ts';
import { createSmtpTrap } from './smtp.ts';
import { createSocksTrap } from './socks.ts';
import { createTelnetTrap } from './telnet.ts';

const LONGEST_LOOK = 512;

/** Recognises by a first line: `whole` once it has come, `start` before. */
function byText(start: RegExp, whole: RegExp): (first: Uint8Array) => Recognition {
  return first => {
    const text = textOf(first.subarray(0, LONGEST_LOOK));
    if (whole.test(text)) return 'yes';
    return !text.includes('\n') && text.length < LONGEST_LOOK && start.test(text) ? 'maybe' : 'no';
  };
}

/** Recognises by the bytes that every first message begins with. */
function byBytes(...signature: readonly number[]): (first: Uint8Array) => Recognition {
  return first => {
    for (const [at, byte] of signature.entries()) {
      if (at >= first.length) return 'maybe';
      if (first[at] !== byte) return 'no';
    }
    return 'yes';
  };
}

const METHOD = '(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH|PROPFIND)';

function recogniseMqtt(first: Uint8Array): Recognition {
  if (first[0] !== 0x10) return 'no';
  const text = textOf(first.subarray(1, 16));
  if (text.includes('\0\x04MQTT') || text.includes('\0\x06MQIsdp')) return 'yes';
  return first.length < 12 ? 'maybe' : 'no';
}

function recogniseSocks(first: Uint8Array): Recognition {
  const [version, second, third] = first;
  if (version === 4)
    return second === undefined ? 'maybe' : (second === 1 || second === 2) && first.length >= 9 ? 'yes' : second === 1 || second === 2 ? 'maybe' : 'no';
  if (version !== 5) return 'no';
  if (second === undefined || third === undefined) return 'maybe';
  return second > 0 && second < 16 && first.length >= 2 + second ? 'yes' : 'no';
}

const KUBERNETES_PATH = /^GET \/(?:api|apis|version|healthz|livez|readyz)(?:[/? ])/;

export const TEXT_PROTOCOLS: readonly TrapProtocol[] = [
  { name: 'ssh', ports: [22, 2222, 22222], create: createSshGreetingTrap, recognise: byText(/^SSH-/, /^SSH-[12]\./) },
  {
    name: 'telnet',
    ports: [23, 2323],
    create: createTelnetTrap,
    recognise: first => (first[0] === 255 ? (first[1] === undefined ? 'maybe' : first[1] >= 240 ? 'yes' : 'no') : 'no'),
  },
  { name: 'ftp', ports: [21, 2121], create: createFtpTrap, recognise: byText(/^(?:USER|AUTH) /i, /^(?:USER [^\r\n]*|AUTH (?:TLS|SSL))\r?\n/i) },
  { name: 'smtp', ports: [25, 587, 2525], create: createSmtpTrap, recognise: byText(/^(?:EHLO|HELO) /i, /^(?:EHLO|HELO)\b[^\r\n]*\r?\n/i) },
  { name: 'pop3', ports: [110], create: createPop3Trap },
  { name: 'imap', ports: [143], create: createImapTrap },
  { name: 'rsync', ports: [873], create: createRsyncTrap, recognise: byText(/^@RSYNCD: /, /^@RSYNCD: /) },
  { name: 'rtsp', ports: [554, 8554], create: createRtspTrap, recognise: byText(/^[A-Z_]+ [^ ]+ ?R?T?S?P?/, /^[A-Z_]+ [^ ]+ RTSP\/1\.0\r?\n/) },
  { name: 'sip', ports: [5060], create: createSipTrap, recognise: byText(/^[A-Z]+ sips?:/i, /^[A-Z]+ [^ ]+ SIP\/2\.0\r?\n/) },
  {
    name: 'http-proxy',
    ports: [3128, 8118, 8888],
    create: createHttpProxyTrap,
    recognise: byText(/^(?:CONNECT |GET http|POST http)/, /^(?:CONNECT [^ ]+:\d+ |(?:GET|POST|HEAD) http:\/\/)/),
  },
  { name: 'kubernetes', ports: [8001], create: createKubernetesTrap, recognise: byText(/^GET \//, KUBERNETES_PATH) },
  {
    name: 'docker',
    ports: [2375],
    create: createDockerTrap,
    recognise: byText(/^(?:GET|POST) \//, /^(?:GET|POST) (?:\/v\d\.\d+)?\/(?:containers|images|_ping|info|exec)\b/),
  },
  { name: 'elasticsearch', ports: [9200], create: createElasticsearchTrap, recognise: byText(/^[A-Z]+ \//, /^[A-Z]+ \/_(?:cat|search|cluster|nodes|all)\b/) },
  {
    name: 'http',
    ports: [80, 81, 3000, 5000, 7001, 8000, 8008, 8080, 8081, 8180, 9000, 9090],
    create: createHttpTrap,
    recognise: byText(new RegExp(`^${METHOD} `), new RegExp(`^${METHOD} \\S+(?: HTTP/\\d\\.\\d)?\\r?\\n`)),
  },
  { name: 'redis', ports: [6379, 6380], create: createRedisTrap, recognise: byText(/^(?:\*\d*|PING|INFO)\r?$/i, /^(?:\*\d{1,2}\r\n\$|(?:PING|INFO)\r\n)/i) },
  {
    name: 'memcached',
    ports: [11211],
    create: createMemcachedTrap,
    recognise: byText(/^(?:stats|version)\r?$/, /^(?:stats(?: [a-z]+)?|version|flush_all)\r\n/),
  },
  { name: 'git', ports: [9418], create: createGitTrap, recognise: byText(/^[0-9a-f]{4}(?:git-)?/, /^[0-9a-f]{4}git-(?:upload|receive)-/) },
  { name: 'mqtt', ports: [1883], create: createMqttTrap, recognise: recogniseMqtt },
  { name: 'adb', ports: [5555], create: createAdbTrap, recognise: byBytes(0x43, 0x4e, 0x58, 0x4e) },
  { name: 'socks', ports: [1080, 1081, 9050], create: createSocksTrap, recognise: recogniseSocks },
];

/** What speaks inside TLS on ports that begin with it. */
export const TEXT_INSIDE_TLS: ReadonlyMap<number, ProtocolFactory> = new Map<number, ProtocolFactory>([
  [443, createHttpTrap],
  [4443, createHttpTrap],
  [8443, createHttpTrap],
  [465, createSmtpTrap],
  [990, createFtpTrap],
  [993, createImapTrap],
  [995, createPop3Trap],
  [2376, createDockerTrap],
  [6443, createKubernetesTrap],
  [10250, createKubeletTrap],
  [8883, createMqttTrap],
  [5061, createSipTrap],
]);
