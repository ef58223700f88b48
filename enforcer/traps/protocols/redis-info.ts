/** What INFO of Redis tells: the sections that clients and scanners read. */
import { toHex } from './lines.ts';
import type { TrapContext } from './machine.ts';

/** `section` in lower case; empty, `default`, `all` and `everything` give all of it. */
export function redisInfo({ persona, port, acceptedAt }: TrapContext, section: string, keys: number): string {
  const version = persona.versions.redis;
  const upSeconds = Math.floor((acceptedAt - persona.startedAt('redis', acceptedAt)) / 1000);
  const memory = persona.between('redis-memory', 850_000, 990_000);
  const sections: Readonly<Record<string, readonly string[]>> = {
    server: [
      '# Server',
      `redis_version:${version}`,
      `redis_git_sha1:00000000`,
      'redis_git_dirty:0',
      `redis_build_id:${toHex(persona.bytes('redis-build', 8))}`,
      'redis_mode:standalone',
      `os:Linux ${persona.release.kernel} x86_64`,
      'arch_bits:64',
      'multiplexing_api:epoll',
      'atomicvar_api:atomic-builtin',
      `process_id:${persona.between('redis-pid', 420, 1900)}`,
      `run_id:${toHex(persona.bytes('redis-run', 20))}`,
      `tcp_port:${port}`,
      `uptime_in_seconds:${upSeconds}`,
      `uptime_in_days:${Math.floor(upSeconds / 86_400)}`,
      'hz:10',
      'configured_hz:10',
      `lru_clock:${Math.floor(acceptedAt / 1000) & 0xff_ff_ff}`,
      'executable:/usr/bin/redis-server',
      'config_file:/etc/redis/redis.conf',
    ],
    clients: ['# Clients', 'connected_clients:1', 'maxclients:10000', 'blocked_clients:0'],
    memory: ['# Memory', `used_memory:${memory}`, `used_memory_human:${(memory / 1024).toFixed(2)}K`, 'maxmemory:0', 'maxmemory_policy:noeviction'],
    persistence: ['# Persistence', 'loading:0', 'rdb_changes_since_last_save:0', 'rdb_bgsave_in_progress:0', 'rdb_last_bgsave_status:ok', 'aof_enabled:0'],
    stats: [
      '# Stats',
      `total_connections_received:${Math.floor(upSeconds / 300)}`,
      `total_commands_processed:${Math.floor(upSeconds / 150)}`,
      'instantaneous_ops_per_sec:0',
    ],
    replication: [
      '# Replication',
      'role:master',
      'connected_slaves:0',
      `master_replid:${toHex(persona.bytes('redis-replication', 20))}`,
      'master_repl_offset:0',
    ],
    cpu: ['# CPU', `used_cpu_sys:${(upSeconds / 1100).toFixed(6)}`, `used_cpu_user:${(upSeconds / 900).toFixed(6)}`],
    keyspace: ['# Keyspace', ...(keys === 0 ? [] : [`db0:keys=${keys},expires=0,avg_ttl=0`])],
  };
  const asked = /^(|default|all|everything)$/.test(section) ? Object.values(sections) : Object.hasOwn(sections, section) ? [sections[section] ?? []] : [];
  return asked
    .filter(lines => lines.length > 0)
    .map(lines => `${lines.join('\r\n')}\r\n`)
    .join('\r\n');
}
