/** Memcached, text protocol (doc/protocol.txt): stats, and a few keys of the session. */
import { bytesOf, firstLine } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, malformed, payload } from './observation.ts';

const LONGEST_LINE = 2048;
const LONGEST_VALUE = 8 * 1024;
const MOST_KEYS = 16;
const BINARY_MAGIC = 0x80;

const STORING = new Set(['set', 'add', 'replace', 'append', 'prepend', 'cas']);

/** The machine of one connection. */
export function createMemcachedTrap(context: TrapContext): TrapMachine {
  const values = new Map<string, { readonly flags: string; readonly text: string }>();

  function found(names: readonly string[], withCas: boolean): string {
    let answer = '';
    for (const name of names.slice(0, MOST_KEYS)) {
      const value = values.get(name);
      if (value !== undefined) answer += `VALUE ${name} ${value.flags} ${value.text.length}${withCas ? ' 1' : ''}\r\n${value.text}\r\n`;
    }
    return `${answer}END\r\n`;
  }

  /** `set KEY FLAGS EXPTIME BYTES [noreply]`, then the bytes. */
  function store(waiting: Buffer, line: string, lineUsed: number): Step {
    const [, key = '', flags = '', expires = '', size = ''] = line.split(/\s+/);
    const bytes = /^\d{1,9}$/.test(size) && /^\d+$/.test(flags) && /^-?\d+$/.test(expires) ? Number(size) : Number.NaN;
    if (Number.isNaN(bytes) || key.length > 250)
      return { used: lineUsed, send: bytesOf('CLIENT_ERROR bad command line format\r\n'), observations: [command(line)] };
    if (bytes > LONGEST_VALUE)
      return { used: waiting.length, send: bytesOf('SERVER_ERROR object too large for cache\r\n'), observations: [command(line)], close: true };
    if (waiting.length < lineUsed + bytes + 2) return MORE;
    const text = waiting.toString('latin1', lineUsed, lineUsed + bytes);
    const ended = waiting.toString('latin1', lineUsed + bytes, lineUsed + bytes + 2) === '\r\n';
    if (values.size < MOST_KEYS || values.has(key)) values.set(key, { flags: flags.slice(0, 10), text });
    const observations: readonly Observation[] = [command(line), payload(`memcached ${key}`, text)];
    const quiet = /\snoreply$/.test(line);
    return { used: lineUsed + bytes + 2, observations, ...(quiet ? {} : { send: bytesOf(ended ? 'STORED\r\n' : 'CLIENT_ERROR bad data chunk\r\nERROR\r\n') }) };
  }

  function answer(line: string): { readonly text: string; readonly close?: true } {
    const [verb = '', ...rest] = line.trim().split(/\s+/);
    switch (verb) {
      case 'get':
      case 'gets':
        return { text: rest.length === 0 ? 'ERROR\r\n' : found(rest, verb === 'gets') };
      case 'stats':
        return { text: rest.length === 0 ? stats(context, values.size) : rest[0] === 'reset' ? 'RESET\r\n' : 'END\r\n' };
      case 'version':
        return { text: `VERSION ${context.persona.versions.memcached}\r\n` };
      case 'delete':
        return { text: values.delete(rest[0] ?? '') ? 'DELETED\r\n' : 'NOT_FOUND\r\n' };
      case 'incr':
      case 'decr':
      case 'touch':
        return { text: 'NOT_FOUND\r\n' };
      case 'flush_all':
        values.clear();
        return { text: 'OK\r\n' };
      case 'verbosity':
        return { text: 'OK\r\n' };
      case 'quit':
        return { text: '', close: true };
      default:
        return { text: 'ERROR\r\n' };
    }
  }

  return createMachine(
    {
      protocol: 'memcached',
      longestMessage: LONGEST_LINE + LONGEST_VALUE,
      next(waiting) {
        if (waiting[0] === BINARY_MAGIC) return { used: waiting.length, observations: [malformed('binary protocol')], close: true };
        const line = firstLine(waiting);
        if (line === undefined)
          return waiting.length > LONGEST_LINE ? { used: waiting.length, send: bytesOf('CLIENT_ERROR line too long\r\n'), close: true } : MORE;
        if (STORING.has(line.text.split(' ', 1)[0] ?? '')) return store(waiting, line.text, line.used);
        const { text, close } = answer(line.text);
        const observations = line.text === '' ? [] : [command(line.text)];
        return { used: line.used, send: bytesOf(text), observations, ...(close === true ? { close } : {}) };
      },
    },
    context.limits,
  );
}

function stats({ persona, acceptedAt }: TrapContext, items: number): string {
  const up = Math.floor((acceptedAt - persona.startedAt('memcached', acceptedAt)) / 1000);
  const lines: readonly (readonly [string, string | number])[] = [
    ['pid', persona.between('memcached-pid', 420, 1900)],
    ['uptime', up],
    ['time', Math.floor(acceptedAt / 1000)],
    ['version', persona.versions.memcached],
    ['libevent', persona.release.family === 'rhel' ? '2.1.8-stable' : '2.1.12-stable'],
    ['pointer_size', 64],
    ['rusage_user', (up / 9000).toFixed(6)],
    ['rusage_system', (up / 7000).toFixed(6)],
    ['max_connections', 1024],
    ['curr_connections', 2],
    ['total_connections', 3 + Math.floor(up / 600)],
    ['cmd_get', Math.floor(up / 40)],
    ['cmd_set', Math.floor(up / 90)],
    ['get_hits', Math.floor(up / 55)],
    ['get_misses', Math.floor(up / 147)],
    ['limit_maxbytes', 67_108_864],
    ['threads', 4],
    ['bytes', items * 70],
    ['curr_items', items],
    ['total_items', items],
    ['evictions', 0],
  ];
  return `${lines.map(([name, value]) => `STAT ${name} ${value}\r\n`).join('')}END\r\n`;
}
