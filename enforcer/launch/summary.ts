/** What a start tells the operator: what is guarded, how, who is allowed and why, and how to end it. Pure. */
import type { AllowEntry } from '@honeymesh/intel/bans';
import { placeText } from '../config/mesh-fields.ts';
import type { Config } from '../config/schema.ts';
import { trapChoiceOf } from '../config/trap-choice.ts';
import type { Welcome } from '../dashboard/welcome.ts';
import type { InterfaceState } from './messages.ts';

export interface StartFacts {
  readonly instance: string;
  readonly config: Config;
  readonly configPath: string | null;
  readonly interfaces: readonly InterfaceState[];
  readonly trapsOpen: boolean;
  readonly allowed: readonly AllowEntry[];
  readonly socket: string;
  /** What was changed on the host, in words. */
  readonly changes: readonly string[];
  /** null: it is off, or does not listen. */
  readonly dashboard: Welcome | null;
  /** A person sees it: Ctrl-C is theirs. */
  readonly interactive: boolean;
}

const MODES = {
  observe: 'observe: decides and records, drops nothing',
  enforce: 'enforce: banned sources are dropped',
  lockdown: 'lockdown: only allow-listed and proven sources may open connections',
} as const;
const MOST_SHOWN = 12;

export function startSummary(facts: StartFacts): string {
  const { config } = facts;
  const rows: (readonly [string, string])[] = [
    ['guards', facts.interfaces.map(state => guardText(state, config.xdp.mode)).join(', ')],
    ['mode', MODES[config.mode]],
    ['traps', trapsText(config, facts.trapsOpen)],
    ...(config.mesh === undefined ? [] : [['mesh', meshText(config.mesh)] as const]),
    ...dashboardRows(facts),
    ['configuration', facts.configPath ?? 'built-in defaults (no file)'],
    ['control socket', facts.socket],
    ...allowedRows([...config.allow.map(target => ({ target, why: 'in the configuration' })), ...facts.allowed]),
    ...facts.changes.map(change => ['changed', change] as const),
    ['to end it', endText(facts)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  let former = '';
  const lines = rows.map(([name, text]) => {
    const shown = name === former ? '' : name;
    former = name;
    return `  ${shown.padEnd(width)}  ${text}`;
  });
  return [`HoneyMesh${facts.instance === 'main' ? '' : ` "${facts.instance}"`} is on`, ...lines, ''].join('\n');
}

function guardText({ name, xdp }: InterfaceState, wanted: Config['xdp']['mode']): string {
  if (xdp === 'off') return `${name} (not attached)`;
  return xdp === 'generic' && wanted === 'auto' ? `${name} (XDP generic: its driver has no native mode)` : `${name} (XDP ${xdp})`;
}

function trapsText(config: Config, open: boolean): string {
  const { ports, patience } = config.traps;
  if (trapChoiceOf(config) === 'off') return 'off';
  if (!open) return 'could not listen: see what is degraded';
  return `${portsText(ports)}; patience ${patience}: ${PATIENCE_WORDS[patience]}`;
}

const PATIENCE_WORDS: Readonly<Record<Config['traps']['patience'], string>> = {
  instant: 'who touches one is banned at once',
  listen: 'who touches one reaches traps only, and is banned when it was heard out',
  study: 'who touches one reaches traps only, for as long as traps.study says, and is banned then',
};

function meshText({ bind, join }: NonNullable<Config['mesh']>): string {
  const whom = join.length === 0 ? 'joins whom it knows from before' : `joins ${join.slice(0, MOST_SHOWN).map(placeText).join(', ')}`;
  return `listens on ${placeText(bind)} (UDP and TCP); ${whom}; "honeymesh peers list" shows who is there`;
}

function dashboardRows({ config, dashboard }: StartFacts): readonly (readonly [string, string])[] {
  if (config.dashboard.bind === 'off') return [];
  if (dashboard === null) return [['dashboard', 'could not listen: see what is degraded']];
  const { url, token, fingerprint } = dashboard;
  return [
    ['dashboard', url],
    ['token', token === null ? 'as before; "honeymesh token rotate" makes a new one and shows it' : `${token} (shown once: only its hash is kept)`],
    ...(fingerprint === null ? [] : [['certificate', `SHA-256 ${fingerprint}`] as const]),
  ];
}

function portsText(ports: Config['traps']['ports']): string {
  if (ports === 'typical') return 'closed ports that are typical for a host like this ("honeymesh status" lists them)';
  if (ports === 'all') return 'every closed port';
  const list = (name: string, of: readonly number[]): string[] => {
    if (of.length === 0) return [];
    return [`${name} ${of.length > MOST_SHOWN ? `${of.slice(0, MOST_SHOWN).join(', ')} and ${of.length - MOST_SHOWN} more` : of.join(', ')}`];
  };
  return [...list('TCP', ports.tcp), ...list('UDP', ports.udp)].join('; ');
}

function allowedRows(allowed: readonly Pick<AllowEntry, 'target' | 'why'>[]): readonly (readonly [string, string])[] {
  const rows = allowed.slice(0, MOST_SHOWN).map(({ target, why }) => ['always allowed', `${target.replace(/\/(32|128)$/, '')}: ${why}`] as const);
  return allowed.length > MOST_SHOWN ? [...rows, ['always allowed', `and ${allowed.length - MOST_SHOWN} more ("honeymesh allow list")`]] : rows;
}

function endText({ instance, interactive }: StartFacts): string {
  const which = instance === 'main' ? '' : ` --instance ${instance}`;
  const off = `"honeymesh unload${which}" takes everything off; "honeymesh stop${which}" ends the daemon and leaves the kernel enforcing`;
  return interactive ? `Ctrl-C or ${off}` : off;
}
