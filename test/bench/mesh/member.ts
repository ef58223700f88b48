/** One node of a benched mesh: a child that keeps the contract of the scriptable node, ours or Go's, and is driven by nothing else. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** An implementation of the contract. */
export interface Kind {
  /** As the rows call it, with its version. */
  readonly name: string;
  readonly program: string;
  /** Its members have identities: what they say is signed, and what they hear is judged. */
  readonly signs?: true;
}

export interface Said {
  readonly ev: string;
  /** Unix time by the clock of the node's process, us. */
  readonly ts: number;
  readonly [field: string]: unknown;
}

export interface BenchMember {
  readonly name: string;
  readonly kind: Kind;
  readonly pid: number;
  readonly addr: string;
  readonly running: boolean;
  /** Resolves with the reply; rejects where the node could not do it, or is gone. */
  ask(command: string): Promise<Said>;
  /** At once, as `kill -9`. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_MS = 5000;

/** `heard` gets whatever it says but its replies. Rejects where it does not come up. */
export async function startMember(kind: Kind, name: string, flags: readonly string[], heard: (said: Said) => void): Promise<BenchMember> {
  // Each in a session of its own: else the scheduler (autogroup) gives all 64 together what it gives one program beside them. The end of stdin ends them.
  const child = spawn(kind.program, ['-name', name, ...flags], { stdio: 'pipe', detached: true });
  const waiting = new Map<string, { readonly resolve: (reply: Said) => void; readonly reject: (error: Error) => void }>();
  const ready = Promise.withResolvers<Said>();
  let [lastId, errors, running] = [0, '', true];
  child.stderr.on('data', chunk => {
    errors = `${errors}${chunk}`.slice(-2000);
  });
  child.stdin.on('error', () => undefined); // it is gone: `close` tells
  createInterface({ input: child.stdout }).on('line', line => {
    const said = JSON.parse(line) as Said;
    if (said.ev === 'ready') ready.resolve(said);
    if (said.ev !== 'reply') return heard(said);
    const call = waiting.get(String(said.id));
    waiting.delete(String(said.id));
    if (said.ok === true) call?.resolve(said);
    else call?.reject(new Error(`${name}: ${String(said.cmd)}: ${String(said.error)}`));
  });
  const ended = Promise.withResolvers<void>();
  const over = (why: string): void => {
    running = false;
    const gone = new Error(`${name} (${kind.name}): ${why}\n${errors}`);
    ready.reject(gone);
    for (const call of waiting.values()) call.reject(gone);
    waiting.clear();
    ended.resolve();
  };
  child.on('error', error => over(error.message));
  child.on('close', code => over(`it ended with ${code}`));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    over(`not ready within ${READY_MS} ms`);
  }, READY_MS);
  const { addr } = await ready.promise.finally(() => clearTimeout(timer));
  const kill = (): Promise<void> => {
    child.kill('SIGKILL');
    return ended.promise;
  };
  return {
    name,
    kind,
    pid: child.pid ?? 0,
    addr: String(addr),
    get running() {
      return running;
    },
    ask(command) {
      const id = `${++lastId}`;
      const { promise, resolve, reject } = Promise.withResolvers<Said>();
      waiting.set(id, { resolve, reject });
      child.stdin.write(`#${id} ${command}\n`);
      return promise;
    },
    kill,
    async stop() {
      child.stdin.end('quit\n');
      const late = setTimeout(kill, STOP_MS);
      await ended.promise;
      clearTimeout(late);
    },
  };
}
