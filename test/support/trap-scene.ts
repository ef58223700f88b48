/** A whole enforcer whose traps play the persona that a test chose, and a neighbour with many addresses to visit them from. */
import { mkdirSync } from 'node:fs';
import { unixMs } from '@honeymesh/intel/time';
import type { BanRow, EventRow, ExplainReport, StatusReport } from '#enforcer/control/operations.ts';
import { keepIdentity } from '#enforcer/traps/identity.ts';
import { makeIdentity } from '#enforcer/traps/identity-making.ts';
import { createPersona, type Persona } from '#enforcer/traps/protocols/persona.ts';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { type CommandOptions, type CommandResult, createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

export const HOST = '10.79.0.1';
/** On the allow-list: heard, never barred. The neighbour's first address. */
export const FRIEND = '10.79.0.2';
const STRANGERS = 60;

export interface TrapScene {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly outside: Namespace;
  readonly enforcer: EnforcerHost;
  readonly persona: Persona;
  /** An address of the neighbour's that nobody has heard of yet. */
  stranger(): string;
  /** Runs a program of the neighbour's, from `source` whatever it binds to: one at a time, unless it is the friend. Never rejects for its exit code. */
  visit(source: string, command: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  status(): Promise<StatusReport>;
  /** Newest first. */
  events(source: string): Promise<readonly EventRow[]>;
  explain(source: string): Promise<ExplainReport>;
  banOf(source: string): Promise<BanRow | undefined>;
  remove(): Promise<void>;
}

/** Starts one, with the traps answering. `config` is what the configuration file says besides interface and allow-list; `seed`: 32 bytes. */
export async function startTrapScene(config: string, seed: Buffer): Promise<TrapScene> {
  const lab = createLab();
  const host = lab.namespace('host');
  const outside = lab.namespace('outside');
  const strangers = Array.from({ length: STRANGERS }, (_, at) => `10.79.0.${100 + at}`);
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`] },
    { namespace: outside, device: 'eth0', addresses: [FRIEND, ...strangers].map(address => `${address}/24`) },
  );
  const enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${FRIEND}]\nlog: { level: warn }\n${config}`);
  const remove = async (): Promise<void> => {
    try {
      await enforcer.remove();
    } finally {
      lab.remove();
    }
  };
  try {
    mkdirSync(enforcer.paths.state, { recursive: true, mode: 0o700 });
    await keepIdentity(enforcer.paths.state, unixMs(Date.now()), now => makeIdentity(now, seed));
    await enforcer.run().ready();
    await eventually('the traps answer', async () => (await enforcer.json<StatusReport>(['status'])).traps.running);
  } catch (error) {
    await remove();
    throw error;
  }
  let spoken = FRIEND;
  return {
    lab,
    host,
    outside,
    enforcer,
    persona: createPersona(seed),
    stranger: () => {
      const fresh = strangers.shift();
      if (fresh === undefined) throw new Error(`the neighbour has ${STRANGERS} addresses`);
      return fresh;
    },
    visit(source, command, options = {}) {
      if (source !== spoken) lab.ip(['route', 'replace', `${HOST}/32`, 'dev', 'eth0', 'src', source], outside);
      spoken = source;
      return outside.run(command, { mayFail: true, ...options });
    },
    status: () => enforcer.json(['status']),
    events: source => enforcer.json(['events', 'list', '--source', source, '--limit', '1000']),
    explain: source => enforcer.json(['explain', source]),
    banOf: async source => (await enforcer.json<BanRow[]>(['bans', 'list'])).find(({ target }) => target === `${source}/32`),
    remove,
  };
}
