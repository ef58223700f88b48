/** Survival: what ends the enforcer and what does not, seen from a host next door. Each way of ending is tried on real processes and a real interface. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { childrenOf, createEnforcerHost, type EnforcerHost, eventually, HONEYMESH } from '#test/support/enforcer.ts';
import { createLab, type Lab, lives, type Namespace } from '#test/support/namespaces.ts';

const ATTACKER = '10.77.0.66';
const NEIGHBOUR = '10.77.0.2';

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost;

beforeEach(() => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  link();
  enforcer = createEnforcerHost(host, 'interfaces: [eth0]\nmode: enforce\ntraps: { ports: [22, 3306] }\nlog: { level: warn }\n');
});
afterEach(async () => {
  try {
    await enforcer.remove();
  } finally {
    lab.remove();
  }
});

function link(): void {
  lab.link(
    { namespace: host, device: 'eth0', addresses: ['10.77.0.1/24', 'fd77::1/64'] },
    { namespace: outside, device: 'eth0', addresses: [`${NEIGHBOUR}/24`, `${ATTACKER}/24`, 'fd77::2/64'] },
  );
}

const attached = (): boolean => lab.ip(['link', 'show', 'eth0'], host).includes('prog/xdp');
const filters = async (): Promise<string> => (await host.run(['tc', 'filter', 'show', 'dev', 'eth0', 'ingress'], { mayFail: true })).stdout;
const reaches = async (source: string): Promise<boolean> =>
  (await outside.run(['ping', '-c1', '-W1', '-I', source, '10.77.0.1'], { mayFail: true })).code === 0;

/** A full handshake with the trap on port 22. */
async function touchTrap(): Promise<void> {
  const connect = `import socket\nsocket.create_connection(('10.77.0.1', 22), 2, ('${ATTACKER}', 0)).recv(100)`;
  await outside.run(['python3', '-c', connect], { mayFail: true });
}

async function banAttacker(): Promise<void> {
  expect(await reaches(ATTACKER)).toBe(true);
  // The daemon is ready a moment before its traps are: until then the port is a closed one.
  await eventually('the attacker is dropped', async () => {
    await touchTrap();
    return !(await reaches(ATTACKER));
  });
  expect(await reaches(NEIGHBOUR)).toBe(true);
}

describe('a running enforcer', () => {
  test('guards through a daemon without any capability', async () => {
    const running = enforcer.run();
    await running.ready();
    expect(attached()).toBe(true);
    expect(await filters()).toContain('hm_steer');
    const daemon = running.daemonPid() ?? 0;
    for (const pid of [daemon, ...childrenOf(daemon)]) {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status).toMatch(new RegExp(`^${set}:\\s0{16}$`, 'm'));
      expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    }
    expect(readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim()).toBe('1');
    await banAttacker();
  });

  test('is one for an instance: a second start is refused and says who runs', async () => {
    const running = enforcer.run();
    await running.ready();
    const second = await enforcer.honeymesh(['run'], { mayFail: true });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`runs already (process ${running.pid})`);
  });

  test('leaves an interface alone that another one guards: the second says so and leaves nothing behind', async () => {
    const running = enforcer.run();
    await running.ready();
    const other = createEnforcerHost(host, 'interfaces: [eth0]\n');
    const refused = await other.honeymesh(['run'], { mayFail: true });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('eth0 already carries the XDP program "hm_xdp"');
    expect(existsSync(other.paths.pins)).toBe(false);
    expect(attached()).toBe(true);
    await other.remove();
  });

  test('names the interface that was meant where the configured one does not exist', async () => {
    const wrong = createEnforcerHost(host, 'interfaces: [eht0]\n');
    const refused = await wrong.honeymesh(['run'], { mayFail: true });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('did you mean eth0?');
    await wrong.remove();
  });

  test('goes on when nobody reads what it says any more, and when a terminal hangs up that it does not have', async () => {
    const running = enforcer.run();
    await running.ready();
    const daemon = running.daemonPid();
    running.child.stdout?.destroy();
    running.child.stderr?.destroy();
    lab.ip(['link', 'delete', 'eth0'], host); // something to complain of
    await eventually('it is degraded', async () => (await enforcer.json<{ degraded: unknown[] }>(['status'])).degraded.length > 0);
    running.child.kill('SIGHUP');
    link();
    await eventually('it is attached', attached);
    expect(running.daemonPid()).toBe(daemon);
  });

  test('starts its daemon again when that is killed, and no packet of a banned source gets through meanwhile', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    const daemon = running.daemonPid() ?? 0;
    const traps = childrenOf(daemon);
    process.kill(daemon, 'SIGKILL');
    expect(await reaches(ATTACKER)).toBe(false);
    await eventually('another daemon runs', () => (running.daemonPid() ?? daemon) !== daemon);
    await eventually('its traps run', () => childrenOf(running.daemonPid() ?? 0).length > 0);
    for (const pid of traps) expect(lives(pid)).toBe(false);
    expect(await reaches(ATTACKER)).toBe(false);
    expect(attached()).toBe(true);
  });
});

describe('nobody is locked out', () => {
  test('the session that started it is allowed while its terminal lives, and says why', async () => {
    const running = enforcer.run(['env', `SSH_CONNECTION=${ATTACKER} 50000 10.77.0.1 22`]);
    await running.ready();
    expect(running.output()).toContain(`${ATTACKER}: HoneyMesh was started from there (SSH_CONNECTION)`);
    const allowed = await enforcer.json<{ target: string; cause: string }[]>(['allow', 'list']);
    expect(allowed).toContainEqual(expect.objectContaining({ target: `${ATTACKER}/32`, cause: 'session' }));
    expect(allowed).toContainEqual(expect.objectContaining({ target: '10.77.0.1/32', cause: 'own' }));
    for (let times = 0; times < 3; times++) await touchTrap();
    await outside.run(['nmap', '-n', '-Pn', '-sS', '-F', '-S', ATTACKER, '-e', 'eth0', '10.77.0.1'], { mayFail: true });
    expect(await reaches(ATTACKER)).toBe(true);
  });

  test('who had a session with a real service when it started is proven, not allowed', async () => {
    const service = host.start(['python3', '-c', 'import socket,time\nl=socket.create_server(("0.0.0.0",5000))\nkept=[]\nwhile True: kept.append(l.accept())']);
    const client = outside.start([
      'python3',
      '-c',
      `import socket,time\ntime.sleep(1)\ns=socket.create_connection(('10.77.0.1',5000),2,('${ATTACKER}',0))\ntime.sleep(60)`,
    ]);
    await eventually('the session is open', async () => (await host.run(['ss', '-tnH', 'state', 'established', 'sport = :5000'])).stdout.includes(ATTACKER));
    const running = enforcer.run();
    await running.ready();
    const { kernel, allow } = await enforcer.json<{ kernel: { provenAt: unknown }; allow: unknown }>(['explain', ATTACKER]);
    expect(kernel.provenAt).not.toBeNull();
    expect(allow).toBeNull();
    client.kill('SIGKILL');
    service.kill('SIGKILL');
  });
});

describe('what leaves enforcement on', () => {
  test('SIGTERM: the daemon ends in order, the kernel goes on', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    const daemon = running.daemonPid() ?? 0;
    running.child.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(lives(daemon)).toBe(false);
    expect(attached()).toBe(true);
    expect(await reaches(ATTACKER)).toBe(false);
    expect(await reaches(NEIGHBOUR)).toBe(true);
  });

  test('the order to stop', async () => {
    const running = enforcer.run();
    await running.ready();
    await enforcer.honeymesh(['stop']);
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(attached()).toBe(true);
  });

  test('kill -9 of the launcher: daemon and traps go with it, the kernel goes on, and the next start takes over without a gap', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    const daemon = running.daemonPid() ?? 0;
    const below = [daemon, ...childrenOf(daemon)];
    process.kill(daemon, 'SIGSTOP'); // not even one that hangs outlives its launcher
    running.child.kill('SIGKILL');
    await running.ended;
    await eventually('nothing of it runs', () => below.every(pid => !lives(pid)));
    expect(await reaches(ATTACKER)).toBe(false);

    const pings = outside.run(['ping', '-i', '0.05', '-c', '120', '-W1', '-I', ATTACKER, '10.77.0.1'], { mayFail: true });
    const again = enforcer.run();
    await again.ready();
    expect((await pings).stdout).toContain(' 0 received');
    expect((await enforcer.json<{ target: string }[]>(['bans', 'list'])).map(ban => ban.target)).toContain(`${ATTACKER}/32`);
  });
});

describe('what takes it off', () => {
  test('SIGINT: everything, and it says so', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    running.child.kill('SIGINT');
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(running.output()).toContain('took the packet filter off eth0');
    expect(attached()).toBe(false);
    expect(await filters()).toBe('');
    expect(existsSync(enforcer.paths.pins)).toBe(false);
    expect(await reaches(ATTACKER)).toBe(true);
  });

  test('unload: of a running enforcer, of what a killed one left, and of nothing', async () => {
    const running = enforcer.run();
    await running.ready();
    expect((await enforcer.honeymesh(['unload'])).stdout).toMatch(/ended the running enforcer[\s\S]*took the packet filter off eth0/);
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(attached()).toBe(false);

    const again = enforcer.run();
    await again.ready();
    again.child.kill('SIGKILL');
    await again.ended;
    expect(attached()).toBe(true);
    expect((await enforcer.honeymesh(['unload'])).stdout).toContain('took the packet filter off eth0');
    expect(attached()).toBe(false);
    expect((await enforcer.honeymesh(['unload'])).stdout).toBe('nothing was loaded\n');
  });

  test('unload from another network namespace leaves nothing behind in the one that was guarded', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    running.child.kill('SIGTERM');
    await running.ended;
    const unloaded = await outside.run([HONEYMESH, 'unload', '--instance', enforcer.instance]);
    expect(unloaded.stdout).toContain('took the packet filter off eth0');
    expect(attached()).toBe(false);
    expect(await filters()).not.toContain('hm_steer');
    expect(await reaches(ATTACKER)).toBe(true);
  });
});

describe('what somebody takes away is put back', () => {
  test('an interface that vanished and came again is guarded again, and status said so meanwhile', async () => {
    const running = enforcer.run();
    await running.ready();
    await banAttacker();
    lab.ip(['link', 'delete', 'eth0'], host);
    await eventually('it is degraded', async () =>
      (await enforcer.json<{ degraded: { why: string }[] }>(['status'])).degraded.some(one => one.why.includes('eth0 is not guarded')),
    );
    link();
    await eventually('it is attached', attached);
    await eventually('it has recovered', async () =>
      (await enforcer.json<{ degraded: { why: string }[] }>(['status'])).degraded.every(one => !one.why.includes('eth0')),
    );
    expect(await reaches(ATTACKER)).toBe(false);
    expect(await reaches(NEIGHBOUR)).toBe(true);
  });

  test('pins whose file system was unmounted are made again, and nothing is detached', async () => {
    // In a mount namespace of its own: the machine's bpffs is everybody's.
    // Only /sys is made private: in a chroot / is not a mount point.
    const running = enforcer.run(['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', 'mount --make-rprivate /sys && exec "$@"', '-']);
    await running.ready();
    await banAttacker();
    const inside = ['nsenter', '--mount', '--root', `--target=${running.pid}`, '--'];
    await host.run([...inside, 'umount', '--lazy', '/sys/fs/bpf']);
    expect(attached()).toBe(true);
    const pinned = async (): Promise<boolean> =>
      (await host.run([...inside, 'test', '-e', `${enforcer.paths.pins}/links/xdp_eth0`], { mayFail: true })).code === 0;
    await eventually('it is pinned again', pinned);
    expect(await reaches(ATTACKER)).toBe(false);
    running.child.kill('SIGKILL');
    await running.ended;
  });
});
