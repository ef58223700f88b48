import { existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectControl } from '#enforcer/control/client.ts';
import type { EventRow, Operations } from '#enforcer/control/operations.ts';
import { CALLS, LONGEST_REQUEST_BYTES } from '#enforcer/control/protocol.ts';
import { type ControlServer, createControlServer, MOST_CONNECTIONS } from '#enforcer/control/server.ts';
import { HoneyMeshBug, HoneyMeshError } from '#enforcer/errors.ts';
import { banRow, eventRow, fakeOperations, statusReport } from '#test/support/fake-operations.ts';

let directory: string;
let socketPath: string;
let server: ControlServer | undefined;
let bugs: unknown[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-control-'));
  socketPath = join(directory, 'run', 'control.sock');
  bugs = [];
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function serve(operations: Operations): Promise<void> {
  server = createControlServer({ socketPath }, { operations, onBug: bug => bugs.push(bug) });
  await server.start();
}

/** Sends bytes as they are and returns the lines that come back until the daemon closes or `count` lines are there. */
function raw(bytes: string | Uint8Array, { count = 1, end = false } = {}): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket: Socket = connect(socketPath, () => {
      socket.write(bytes);
      if (end) socket.end();
    });
    const done = (): void => {
      socket.destroy();
      resolve(text.split('\n').filter(line => line !== ''));
    };
    socket.on('data', part => {
      text += part.toString();
      if (text.split('\n').length > count) done();
    });
    socket.on('close', done);
    socket.on('error', reject);
  });
}

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Error) => error,
  );

describe('calls', () => {
  test('every operation crosses the socket with its arguments and its answer', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = await connectControl(socketPath);
    expect(await client.status()).toEqual(statusReport);
    expect(await client.listBans({ tier: 'E1' })).toEqual([banRow]);
    await client.addBan({ target: '203.0.113.7/32', ttl: '24h', note: 'why' });
    await client.importBans({ lines: ['203.0.113.7'] });
    await client.listEvents({ kinds: ['scan'], port: 22, limit: 5, ascending: true });
    for (const call of [client.dryRunBan, client.removeBan, client.addAllowed, client.removeAllowed]) await call({ target: '203.0.113.7' });
    await client.explain({ address: '203.0.113.7' });
    await client.pause({ duration: '5m' });
    await client.tokenRotate({ grace: '5m' });
    for (const call of [client.listAllowed, client.listPeers, client.showConfig, client.tokenStatus, client.meshStatus, client.meshInvites, client.stop])
      await call();
    await client.meshPrepare({});
    await client.meshInit({ certificate: 'AAAA', rootPublic: 'AAAA', cluster: 'AAAA', site: 'home' });
    await client.meshInvite({ ttl: '15m', addresses: ['192.0.2.1:7947'] });
    await client.meshCancelInvite({ id: '0a1b2c3d' });
    await client.meshJoin({ token: 'hmj1_x' });
    await client.meshRotateKey({ now: true });
    for (const call of [client.meshRevoke, client.meshDraftRevocation]) await call({ target: 'badger' });
    await client.meshPublishRevocation({ key: '0a1b2c3d', list: 'AAAA' });
    await client.meshLeave({});
    await client.hubUse({ endpoint: 'hub.example', thing: 'h1', certificate: '/c.pem', key: '/k.pem', signers: ['AAAA'] });
    await client.logTip();
    await client.notifyTest({ channel: 'webhook' });
    expect(operations.asked.map(one => one.op).sort()).toEqual([...CALLS].sort());
    expect(operations.asked).toContainEqual({ op: 'addBan', args: { target: '203.0.113.7/32', ttl: '24h', note: 'why' } });
    client.close();
  });

  test('many at once are told apart, whatever the order of the answers', async () => {
    let first = true;
    await serve(
      fakeOperations({
        pause: async ({ duration }) => {
          if (first) {
            first = false;
            await wait(50);
          }
          return { pausedUntil: duration };
        },
      }),
    );
    const client = await connectControl(socketPath);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => client.pause({ duration: `${at}s` })));
    expect(answers.map(answer => answer.pausedUntil)).toEqual(Array.from({ length: 100 }, (_, at) => `${at}s`));
    client.close();
  });

  test('a list as long as a full ban map arrives', async () => {
    const rows = Array.from({ length: 65_536 }, () => banRow);
    await serve(fakeOperations({ listBans: () => Promise.resolve(rows) }));
    const client = await connectControl(socketPath);
    expect((await client.listBans({})).length).toBe(65_536);
    client.close();
  });

  test('a refusal keeps its code and its fix', async () => {
    await serve(fakeOperations({ addBan: () => Promise.reject(new HoneyMeshError('HM_REFUSED', 'loopback is not banned', { fix: 'name another' })) }));
    const client = await connectControl(socketPath);
    const error = await failure(client.addBan({ target: '127.0.0.1' }));
    expect(error).toBeInstanceOf(HoneyMeshError);
    expect(error).toMatchObject({ code: 'HM_REFUSED', message: 'loopback is not banned', fix: 'name another' });
    expect(bugs).toEqual([]);
    client.close();
  });

  test('a bug of the daemon is a bug, and the daemon hears of it', async () => {
    await serve(fakeOperations({ status: () => Promise.reject(new TypeError('x is not a function')) }));
    const client = await connectControl(socketPath);
    expect(await failure(client.status())).toBeInstanceOf(HoneyMeshBug);
    expect(bugs).toHaveLength(1);
    client.close();
  });

  test('arguments that no CLI of ours sends are refused before the daemon sees them', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = await connectControl(socketPath);
    const hostile = [{}, { target: 7 }, { target: 'x'.repeat(65) }, { target: '203.0.113.7', extra: 1 }, [], 'x', { target: '203.0.113.7', ttl: {} }];
    for (const args of hostile) expect(await failure(client.addBan(args as never)), JSON.stringify(args)).toMatchObject({ code: 'HM_USAGE' });
    expect(operations.asked).toEqual([]);
    client.close();
  });
});

describe('tail', () => {
  test('sends events until the signal, then no more', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = await connectControl(socketPath);
    const over = new AbortController();
    const rows: EventRow[] = [];
    const following = client.follow(row => rows.push(row), over.signal);
    while (operations.tails() === 0) await wait(5);
    operations.emit(eventRow(1));
    operations.emit(eventRow(2));
    while (rows.length < 2) await wait(5);
    over.abort();
    await following;
    expect(operations.tails()).toBe(0);
    operations.emit(eventRow(3));
    expect((await client.status()).version).toBe('0.1.0'); // the connection lives on
    expect(rows.map(row => row.id)).toEqual([1, 2]);
    client.close();
  });

  test('ends with HM_DAEMON_DOWN when the daemon stops', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = await connectControl(socketPath);
    const following = failure(client.follow(() => {}, new AbortController().signal));
    while (operations.tails() === 0) await wait(5);
    await server?.stop();
    expect(await following).toMatchObject({ code: 'HM_DAEMON_DOWN' });
    expect(operations.tails()).toBe(0);
  });

  test('a client that went away costs nothing', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = await connectControl(socketPath);
    client.tail(() => {}, new AbortController().signal);
    while (operations.tails() === 0) await wait(5);
    client.close();
    while (operations.tails() > 0) await wait(5);
    operations.emit(eventRow(1));
  });

  test('a reader that is too slow loses events and is told how many; the daemon keeps no queue for it', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const client = connect(socketPath);
    client.write('{"id":1,"op":"tail"}\n');
    while (operations.tails() === 0) await wait(5);
    client.pause();
    const big = eventRow(1, { summary: 'x'.repeat(10_000) });
    for (let at = 0; at < 1_000; at++) operations.emit(big);
    let text = '';
    client.on('data', part => {
      text += part.toString();
    });
    client.resume();
    const deadline = Date.now() + 5_000;
    while (!text.includes('"missed"') && Date.now() < deadline) {
      operations.emit(eventRow(2));
      await wait(20);
    }
    const lines = text.split('\n');
    const missed = lines.filter(line => line.includes('"missed"')).reduce((sum, line) => sum + (JSON.parse(line) as { missed: number }).missed, 0);
    expect(missed).toBeGreaterThan(500);
    expect(lines.filter(line => line.includes('xxxx')).length).toBeLessThan(500);
    client.destroy();
  });
});

describe('the socket', () => {
  test('is for its owner only from the first moment', async () => {
    await serve(fakeOperations());
    expect(lstatSync(socketPath).mode & 0o777).toBe(0o600);
  });

  test('is removed at the end', async () => {
    await serve(fakeOperations());
    await server?.stop();
    expect(existsSync(socketPath)).toBe(false);
  });

  test('of a daemon that was killed is replaced', async () => {
    const dead = createServer().listen(join(directory, 'other'));
    await new Promise(resolve => dead.once('listening', resolve));
    mkdirSync(join(directory, 'run'));
    renameSync(join(directory, 'other'), socketPath);
    await new Promise(resolve => dead.close(resolve));
    expect(lstatSync(socketPath).isSocket()).toBe(true);
    await serve(fakeOperations());
    const client = await connectControl(socketPath);
    expect((await client.status()).instance).toBe('main');
    client.close();
  });

  test('of a daemon that lives is left to it', async () => {
    await serve(fakeOperations());
    const second = createControlServer({ socketPath }, { operations: fakeOperations() });
    expect(await failure(second.start())).toMatchObject({ code: 'HM_ALREADY_RUNNING' });
    const client = await connectControl(socketPath);
    expect((await client.status()).instance).toBe('main');
    client.close();
  });

  test('never takes the place of a file that is no socket', async () => {
    mkdirSync(join(directory, 'run'));
    writeFileSync(socketPath, 'precious');
    expect(await failure(serve(fakeOperations()))).toMatchObject({ code: 'HM_CONFIG' });
    expect(existsSync(socketPath)).toBe(true);
  });

  test('with a path that no socket can have is refused', async () => {
    const long = createControlServer({ socketPath: join(directory, 'x'.repeat(120)) }, { operations: fakeOperations() });
    expect(await failure(long.start())).toMatchObject({ code: 'HM_CONFIG' });
  });

  test('that nobody serves is HM_DAEMON_DOWN with what to do', async () => {
    const error = (await failure(connectControl(socketPath))) as HoneyMeshError;
    expect(error.code).toBe('HM_DAEMON_DOWN');
    expect(error.fix).toContain('npm start');
  });

  test('closes when the signal aborts', async () => {
    const over = new AbortController();
    server = createControlServer({ socketPath }, { operations: fakeOperations() });
    await server.start(over.signal);
    over.abort();
    const deadline = Date.now() + 3_000;
    while (existsSync(socketPath) && Date.now() < deadline) await wait(10);
    expect(existsSync(socketPath)).toBe(false);
  });
});

test('one client too many is told so; the others are served, and so is who comes when one has left', async () => {
  await serve(fakeOperations());
  const clients = await Promise.all(Array.from({ length: MOST_CONNECTIONS }, () => connectControl(socketPath)));
  await Promise.all(clients.map(client => client.status()));
  const late = await connectControl(socketPath);
  expect(await failure(late.status())).toMatchObject({ code: 'HM_REFUSED', fix: expect.stringContaining('try again') });
  expect((await clients[7]?.status())?.instance).toBe('main');
  clients[0]?.close();
  const deadline = performance.now() + 3_000;
  let instance: string | undefined;
  while (instance === undefined && performance.now() < deadline) {
    const next = await connectControl(socketPath);
    instance = (await next.status().catch(() => undefined))?.instance;
    next.close();
  }
  expect(instance).toBe('main');
  for (const client of clients) client.close();
});

describe('a hostile client', () => {
  test('that sends no JSON gets one answer and the door', async () => {
    await serve(fakeOperations());
    for (const line of ['hello', '[]', '7', 'null', '{"id":"x"}', '{"id":-1,"op":"status"}', '{"id":1}', '{"id":1.5,"op":"status"}']) {
      const lines = await raw(`${line}\n{"id":9,"op":"status"}\n`, { count: 5 });
      expect(lines.length, line).toBe(1);
      expect(JSON.parse(lines[0] ?? ''), line).toMatchObject({ ok: false, error: { code: 'HM_USAGE' } });
    }
  });

  test('that asks for what is not an operation gets an error and may go on', async () => {
    const operations = fakeOperations();
    await serve(operations);
    const lines = await raw('{"id":1,"op":"constructor"}\n{"id":2,"op":"asked"}\n{"id":3,"op":"status"}\n', { count: 3 });
    const answers = lines.map(line => JSON.parse(line) as { id: number; ok: boolean; error?: { code: string } }).sort((one, other) => one.id - other.id);
    expect(answers.map(answer => answer.error?.code ?? answer.ok)).toEqual(['HM_USAGE', 'HM_USAGE', true]);
    expect(operations.asked.map(one => one.op)).toEqual(['status']);
  });

  test('that never ends its line is cut off at the bound', async () => {
    await serve(fakeOperations());
    const lines = await raw('x'.repeat(LONGEST_REQUEST_BYTES + 1), { count: 5 });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ ok: false, error: { code: 'HM_USAGE' } });
  });

  test('that sends a thousand requests without waiting is read no faster than it is served', async () => {
    let running = 0;
    let most = 0;
    const operations = fakeOperations({
      pause: async () => {
        most = Math.max(most, ++running);
        await wait(1);
        running--;
        return { pausedUntil: null };
      },
    });
    await serve(operations);
    const lines = await raw(Array.from({ length: 1_000 }, (_, id) => `{"id":${id + 1},"op":"pause","args":{"duration":"1s"}}\n`).join(''), { count: 1_000 });
    expect(lines.length).toBe(1_000);
    expect(most).toBeLessThanOrEqual(32);
  });

  test('that closes its half at once still gets its answer', async () => {
    await serve(fakeOperations({ status: () => wait(30).then(() => statusReport) }));
    const lines = await raw('{"id":1,"op":"status"}\n', { count: 5, end: true });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: 1, ok: true });
  });
});

test('an answer that is under way goes out before the daemon closes', async () => {
  await serve(
    fakeOperations({
      stop: () => {
        setImmediate(() => void server?.stop());
        return Promise.resolve({ stopping: true });
      },
    }),
  );
  const client = await connectControl(socketPath);
  expect(await client.stop()).toEqual({ stopping: true });
});
