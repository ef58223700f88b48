/** `honeymesh status`. */
import type { Command } from 'commander';
import type { StatusReport, TrapReport } from '../../control/operations.ts';
import type { MeshReport } from '../../mesh/port.ts';
import type { ChannelReport } from '../../notify/port.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { outputOption } from '../options.ts';
import { pairs } from '../terminal.ts';
import { hubState } from './hub.ts';

export function addStatus(program: Command, context: Context): void {
  program
    .command('status')
    .description('what runs, what is dropped, what is degraded and what mends it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nJSON: {version, instance, mode, pausedUntil, interfaces: [{name, xdp}], bans: {active, shunned, capacity}, traps: {ports: []|"all", udpPorts: []|"all", choice: "typical"|"all"|"list"|"off", patience, sessions, confined, running, restarts, lost}, mesh: {state: "off"|"starting"|"alone"|"joined"|"down", peers, name|null, site|null, signatures: "off"|"preferred"|"required", registrar}, hub: {state: "off"|"starting"|"connecting"|"connected"|"introduced"|"down", endpoint|null, thing|null, waiting, head: {epoch, number}|null, receiptAt|null, advisoryAt|null, votesFrom|null}, store: {events, ok}, packets, notify: [{channel: "webhook"|"slack"|"syslog", state: "idle"|"ok"|"failing", waiting, sent, givenUp, lostEvents, lastSentAt|null, why|null}], degraded: [{part, why, fix}], since}',
    )
    .action(async (_options: unknown, command: Command) => show(command, context, await withDaemon(command, context, daemon => daemon.status()), statusText));
}

function statusText(status: StatusReport): string {
  const packets = Object.entries(status.packets);
  const sum = (rows: readonly (readonly [string, number])[]): number => rows.reduce((total, [, count]) => total + count, 0);
  const drops = packets.filter(([name, count]) => name.startsWith('drop-') && count > 0);
  const passes = packets.filter(([name]) => name === 'pass' || name.startsWith('pass-'));
  const others = packets.filter(([name, count]) => !name.startsWith('drop-') && name !== 'pass' && !name.startsWith('pass-') && count > 0);
  const each = (rows: readonly (readonly [string, number])[]): string => rows.map(([name, count]) => `${name} ${count}`).join(', ');
  return pairs([
    ['version', status.version],
    ['instance', status.instance],
    ['mode', status.pausedUntil === null ? status.mode : `${status.mode}, paused until ${status.pausedUntil}`],
    ['since', status.since],
    ['interfaces', status.interfaces.map(({ name, xdp }) => `${name} (${xdp})`).join(', ') || 'none'],
    ['bans', `${status.bans.active} of ${status.bans.capacity}, and ${status.bans.shunned} shunned for the moment`],
    ...trapRows(status.traps),
    ['mesh', meshText(status.mesh)],
    ['hub', hubState(status.hub)],
    ['store', `${status.store.events} events${status.store.ok ? '' : ', NOT writing'}`],
    ...(status.notify ?? []).map(one => ['notify', channelText(one)] as const),
    ['passed', `${sum(passes)} packets`],
    ['dropped', `${sum(drops)} packets${drops.length === 0 ? '' : ` (${each(drops)})`}`],
    ...(others.length === 0 ? [] : [['counters', each(others)] as const]),
    ...(status.degraded.length === 0
      ? [['degraded', 'nothing'] as const]
      : status.degraded.flatMap(({ part, why, fix }) => [['degraded', `${part}: ${why}`] as const, ['  fix', fix] as const])),
  ]);
}

function channelText({ channel, state, sent, waiting, lostEvents, lastSentAt, why }: ChannelReport): string {
  const troubles = [...(waiting > 0 ? [`${waiting} waiting`] : []), ...(lostEvents > 0 ? [`${lostEvents} events never told`] : [])];
  const last = lastSentAt === null ? 'nothing sent yet' : `${sent} sent, the last at ${lastSentAt}`;
  return [`${channel}: ${state === 'failing' ? `FAILING (${why ?? ''})` : last}`, ...troubles].join('; ');
}

const MESH_STATES: Readonly<Record<MeshReport['state'], string>> = {
  off: 'off',
  starting: 'starting',
  alone: 'alone: no other member is reached',
  joined: 'joined',
  down: 'DOWN',
};

function meshText({ state, peers, name, site, signatures, registrar }: MeshReport): string {
  if (state === 'off') return MESH_STATES.off;
  const as = name === null ? [] : [`as ${name}${site === null ? '' : ` (${site})`}`];
  return [MESH_STATES[state], `${peers} peers alive`, ...as, `signatures ${signatures}`, ...(registrar ? ['registrar'] : [])].join('; ');
}

function trapRows({ choice, ports, udpPorts, patience, sessions, confined, running, restarts, lost }: TrapReport): (readonly [string, string])[] {
  if (choice === 'off') return [['traps', 'off']];
  const list = (of: readonly number[] | 'all'): string => (of === 'all' ? 'all closed ports' : of.join(', ') || 'none');
  const troubles = [
    ...(running ? [] : ['NOT running']),
    ...(restarts > 0 ? [`started again ${restarts} times`] : []),
    ...(lost > 0 ? [`${lost} observations lost`] : []),
  ];
  return [
    ['traps', [`${choice}, patience ${patience}`, `${sessions} open sessions`, `${confined} sources confined`, ...troubles].join('; ')],
    ['  TCP', list(ports)],
    ['  UDP', list(udpPorts)],
  ];
}
