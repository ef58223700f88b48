/** Redis without a password, as attackers look for it: it answers, keeps a few keys of the session, and executes nothing. */
import { bytesOf, toHex } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, credentials, malformed, payload } from './observation.ts';
import { redisInfo } from './redis-info.ts';
import { readRedisRequest } from './redis-resp.ts';

const LONGEST_REQUEST = 32 * 1024;
const MOST_KEYS = 16;
const LONGEST_VALUE = 4096;
const LONGEST_SHOWN = 512;

const OK = '+OK\r\n';
const NIL = '$-1\r\n';
const NONE = '*0\r\n';
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const list = (items: readonly string[]): string => `*${items.length}\r\n${items.map(bulk).join('')}`;
const wrongNumber = (name: string): string => `-ERR wrong number of arguments for '${name}' command\r\n`;

/** Least number of words, the command's name included. */
const LEAST_WORDS = new Map(
  Object.entries({
    get: 2,
    set: 3,
    echo: 2,
    select: 2,
    keys: 2,
    del: 2,
    exists: 2,
    type: 2,
    ttl: 2,
    auth: 2,
    eval: 3,
    slaveof: 3,
    replicaof: 3,
    config: 2,
  }),
);
const MOST_WORDS = new Map(Object.entries({ get: 2, echo: 2, select: 2, keys: 2, type: 2, ttl: 2, dbsize: 1, slaveof: 3, replicaof: 3, auth: 3 }));

const CONFIG: Readonly<Record<string, string>> = {
  dir: '/var/lib/redis',
  dbfilename: 'dump.rdb',
  maxmemory: '0',
  save: '3600 1 300 100 60 10000',
  appendonly: 'no',
  requirepass: '',
  databases: '16',
  'protected-mode': 'no',
  port: '6379',
};

/** The machine of one connection. */
export function createRedisTrap(context: TrapContext): TrapMachine {
  const { persona } = context;
  const keys = new Map<string, string>();
  const settings = new Map<string, string>();

  function execute(words: readonly string[]): { readonly answer: string; readonly seen?: readonly Observation[]; readonly close?: true } {
    const [name = '', first = '', second = '', third = ''] = words;
    const verb = name.toLowerCase();
    if (words.length < (LEAST_WORDS.get(verb) ?? 1) || words.length > (MOST_WORDS.get(verb) ?? Number.POSITIVE_INFINITY)) return { answer: wrongNumber(verb) };
    switch (verb) {
      case 'ping':
        return { answer: words.length > 1 ? bulk(first) : '+PONG\r\n' };
      case 'quit':
        return { answer: OK, close: true };
      case 'auth': {
        const tried = words.length > 2 ? credentials(first, second) : credentials('default', first);
        const answer =
          words.length > 2
            ? '-WRONGPASS invalid username-password pair or user is disabled.\r\n'
            : '-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n';
        return { answer, seen: [tried] };
      }
      case 'info':
        return { answer: bulk(redisInfo(context, first.toLowerCase(), keys.size)) };
      case 'echo':
        return { answer: bulk(first) };
      case 'select':
        return { answer: /^(\d|1[0-5])$/.test(first) ? OK : '-ERR DB index is out of range\r\n' };
      case 'set':
      case 'setnx':
      case 'getset':
        if (keys.size < MOST_KEYS || keys.has(first)) keys.set(first.slice(0, 128), second.slice(0, LONGEST_VALUE));
        return { answer: verb === 'setnx' ? ':1\r\n' : verb === 'getset' ? NIL : OK, seen: [payload(`redis ${first}`, second)] };
      case 'get': {
        const value = keys.get(first);
        return { answer: value === undefined ? NIL : bulk(value) };
      }
      case 'exists':
        return { answer: keys.has(first) ? ':1\r\n' : ':0\r\n' };
      case 'type':
        return { answer: keys.has(first) ? '+string\r\n' : '+none\r\n' };
      case 'ttl':
        return { answer: keys.has(first) ? ':-1\r\n' : ':-2\r\n' };
      case 'del':
      case 'unlink':
        return { answer: `:${words.slice(1).filter(key => keys.delete(key)).length}\r\n` };
      case 'keys':
        return { answer: list([...keys.keys()]) };
      case 'scan':
        return { answer: `*2\r\n${bulk('0')}${list([...keys.keys()])}` };
      case 'dbsize':
        return { answer: `:${keys.size}\r\n` };
      case 'flushall':
      case 'flushdb':
        keys.clear();
        return { answer: OK };
      case 'config':
        return { answer: configure(first.toLowerCase(), second.toLowerCase(), third) };
      case 'save':
      case 'slaveof':
      case 'replicaof':
        return { answer: OK };
      case 'bgsave':
        return { answer: '+Background saving started\r\n' };
      case 'bgrewriteaof':
        return { answer: '+Background append only file rewriting started\r\n' };
      case 'client':
        return {
          answer: /^(setname|setinfo|no-evict|reply)$/i.test(first)
            ? OK
            : first.toLowerCase() === 'id'
              ? `:${persona.between('redis-client', 40, 4000)}\r\n`
              : NIL,
        };
      case 'command':
      case 'lrange':
      case 'smembers':
      case 'hgetall':
      case 'slowlog':
        return { answer: first.toLowerCase() === 'count' ? `:${persona.versions.redis.startsWith('7') ? 240 : 204}\r\n` : NONE };
      case 'time': {
        const at = context.acceptedAt;
        return { answer: list([String(Math.floor(at / 1000)), String((at % 1000) * 1000)]) };
      }
      case 'role':
        return { answer: `*3\r\n${bulk('master')}:0\r\n*0\r\n` };
      case 'eval':
      case 'evalsha':
        return { answer: NIL, seen: [payload('redis script', first)] };
      case 'module':
        return first.toLowerCase() === 'list' ? { answer: NONE } : { answer: '-ERR Error loading the extension. Please check the server logs.\r\n' };
      case 'script':
        return { answer: bulk(toHex(context.random.subarray(0, 20))), seen: [payload('redis script', second)] };
      case 'post':
      case 'host:':
        return { answer: '', close: true }; // "Possible SECURITY ATTACK detected": Redis hangs up without a word
      default: {
        const shown = name.slice(0, 128).replace(/[\r\n]/g, ' ');
        const args = words.slice(1, 21).map(word => `'${word.slice(0, 128).replace(/[\r\n]/g, ' ')}' `);
        return {
          answer: persona.versions.redis.startsWith('7')
            ? `-ERR unknown command '${shown}', with args beginning with: ${args.join('')}\r\n`
            : `-ERR unknown command \`${shown}\`, with args beginning with: ${args.map(arg => arg.replace(/^'(.*)' $/s, '`$1`, ')).join('')}\r\n`,
        };
      }
    }
  }

  function configure(what: string, name: string, value: string): string {
    if (what === 'get') {
      const pattern = name === '*' ? Object.keys(CONFIG) : [name];
      return list(pattern.flatMap(key => (Object.hasOwn(CONFIG, key) ? [key, settings.get(key) ?? CONFIG[key] ?? ''] : [])));
    }
    if (what === 'set') {
      if (!Object.hasOwn(CONFIG, name)) return `-ERR Unknown option or number of arguments for CONFIG SET - '${name.slice(0, 64).replace(/[\r\n]/g, ' ')}'\r\n`;
      settings.set(name, value.slice(0, 256));
      return OK;
    }
    return what === 'rewrite' ? '-ERR Rewriting config file: Permission denied\r\n' : OK;
  }

  function step(words: readonly string[], used: number): Step {
    if (words.length === 0) return { used };
    const { answer, seen = [], close } = execute(words);
    const verb = words[0]?.toLowerCase();
    const line = words.map(word => (word.length > LONGEST_SHOWN ? `${word.slice(0, LONGEST_SHOWN)}...` : word)).join(' ');
    const observations: readonly Observation[] = verb === 'auth' ? seen : [command(line), ...seen];
    return { used, send: bytesOf(answer), observations, ...(close === true ? { close } : {}) };
  }

  return createMachine(
    {
      protocol: 'redis',
      longestMessage: LONGEST_REQUEST,
      next(waiting) {
        const request = readRedisRequest(waiting, LONGEST_REQUEST);
        if (request.kind === 'more') return MORE;
        if (request.kind === 'command') return step(request.words, request.used);
        return { used: waiting.length, send: bytesOf(request.answer), observations: [malformed('not RESP')], close: true };
      },
    },
    context.limits,
  );
}
