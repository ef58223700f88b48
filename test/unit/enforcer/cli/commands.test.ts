import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventRow, ReceiptRow, StatusReport } from '#enforcer/control/operations.ts';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { banRow, eventRow, explainReport, fakeOperations, peerRow, statusReport } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

describe('what is asked of the daemon', () => {
  test.each<[line: string, op: string, args: unknown]>([
    ['status', 'status', {}],
    ['bans list', 'listBans', {}],
    ['bans list --target 203.0.113.0/24 --tier e1', 'listBans', { target: '203.0.113.0/24', tier: 'E1' }],
    ['bans add 203.0.113.7', 'addBan', { target: '203.0.113.7/32' }],
    ['bans add ::ffff:203.0.113.7 --ttl 24h --note scanner', 'addBan', { target: '203.0.113.7/32', ttl: '24h', note: 'scanner' }],
    ['bans add 203.0.113.0/24 --dry-run', 'dryRunBan', { target: '203.0.113.0/24' }],
    ['bans remove 2001:db8:0::1', 'removeBan', { target: '2001:db8::1/128' }],
    ['allow list', 'listAllowed', {}],
    ['allow add 198.51.100.7 --note office', 'addAllowed', { target: '198.51.100.7/32', note: 'office' }],
    ['allow remove 198.51.100.7', 'removeAllowed', { target: '198.51.100.7/32' }],
    ['peers list', 'listPeers', {}],
    ['events list', 'listEvents', { limit: 100 }],
    [
      'events list --kind scan,ban --kind touch --source 203.0.113.7 --since 24h --until 2026-11-24 --port 22 --limit 5',
      'listEvents',
      { kinds: ['scan', 'ban', 'touch'], source: '203.0.113.7/32', since: '2026-11-23T12:00:00.000Z', until: '2026-11-24T00:00:00.000Z', port: 22, limit: 5 },
    ],
    ['explain 203.0.113.7', 'explain', { address: '203.0.113.7' }],
    ['explain 203.0.113.7/32', 'explain', { address: '203.0.113.7' }], // as lists have it
    ['explain 2001:db8::7/128', 'explain', { address: '2001:db8::7' }],
    ['pause 5m', 'pause', { duration: '5m' }],
    ['pause off', 'pause', { duration: 'off' }],
  ])('%s', async (line, op, args) => {
    const operations = fakeOperations();
    await lab.serve(operations);
    const { code, err } = await lab.run(line);
    expect(err).toBe('');
    expect(operations.asked).toEqual([{ op, args }]);
    expect(code).toBe(0);
  });
});

describe('--instance and --config stand anywhere on the line', () => {
  test.each([
    '--instance second bans list',
    'bans --instance second list',
    'bans list --instance second',
    'bans list --instance=second',
    'bans list -o json --instance second',
    'bans list --tier E1 --instance second',
  ])('%s', async line => {
    const [main, second] = [fakeOperations(), fakeOperations()];
    await lab.serve(main);
    await lab.serve(second, 'second');
    const file = join(lab.directory, 'c.yaml');
    writeFileSync(file, 'mode: observe\n');
    expect((await lab.run(line)).code).toBe(0);
    expect((await lab.run(`${line} --config ${file}`)).code).toBe(0);
    expect((await lab.run(`--config ${file} ${line}`)).code).toBe(0);
    expect([main.asked.length, second.asked.length]).toEqual([0, 3]);
  });

  test('and the environment names the instance where no flag does', async () => {
    const second = fakeOperations();
    await lab.serve(second, 'second');
    expect((await lab.run('status', { environment: { HONEYMESH_INSTANCE: 'second' } })).code).toBe(0);
    expect((await lab.run('status --instance other', { environment: { HONEYMESH_INSTANCE: 'second' } })).code).toBe(3);
    expect(second.asked).toHaveLength(1);
  });
});

describe('JSON is what the contract says', () => {
  test.each<[line: string, value: unknown]>([
    ['status', statusReport],
    ['bans list', [banRow]],
    ['events list', [3, 2, 1].map(id => eventRow(id))],
    ['explain 203.0.113.7', explainReport],
    ['bans remove 203.0.113.7', { removed: ['203.0.113.7/32'] }],
    ['pause 5m', { pausedUntil: '2026-11-24T12:05:00.000Z' }],
    ['peers list', [peerRow]],
  ])('%s', async (line, value) => {
    await lab.serve(fakeOperations());
    for (const option of ['-o json', '--output json', '-ojson']) expect(JSON.parse((await lab.run(`${line} ${option}`)).out)).toEqual(value);
  });

  test('an empty list is an empty array', async () => {
    await lab.serve(fakeOperations({ listBans: () => Promise.resolve([]) }));
    expect((await lab.run('bans list -o json')).out.trim()).toBe('[]');
    expect((await lab.run('bans list')).out).toBe('no bans\n');
  });
});

describe('the human form', () => {
  test('is a table with a head', async () => {
    await lab.serve(fakeOperations());
    const { out } = await lab.run('bans list');
    expect(out.split('\n').slice(0, 2)).toEqual([
      'TARGET          TIER  REASONS     ORIGINS  SINCE                     UNTIL                     DROPPED  ENFORCED  NOTE',
      '203.0.113.7/32  E1    trap-touch  trap     2026-11-24T12:00:00.000Z  2026-11-24T16:00:00.000Z       12  yes',
    ]);
  });

  test.each([['-o human'], ['-o json']])('never lets bytes of an attacker steer the terminal (%s)', async option => {
    const summary = 'said \u001b[2J\u009b31m\u202egnp.exe\r\n\u0007\u200b';
    await lab.serve(
      fakeOperations({
        listEvents: () => Promise.resolve([eventRow(1, { summary })]),
        explain: () => Promise.resolve({ ...explainReport, because: summary, steps: [{ at: null, what: summary }], events: [eventRow(1, { summary })] }),
        listBans: () => Promise.resolve([{ ...banRow, note: summary }]),
      }),
    );
    for (const line of ['events list', 'explain 203.0.113.7', 'bans list']) {
      const { out } = await lab.run(`${line} ${option}`);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      expect(out.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b\u202e]/);
      expect(out).toContain('\\u001b[2J');
    }
  });

  test('of status names what is degraded and what mends it', async () => {
    await lab.serve(
      fakeOperations({ status: () => Promise.resolve({ ...statusReport, degraded: [{ part: 'disk', why: 'the disk is full', fix: 'make room' }] }) }),
    );
    const { out } = await lab.run('status');
    expect(out).toMatch(/^degraded +disk: the disk is full\n +fix +make room$/m);
    expect(out).toMatch(/^dropped +12 packets \(drop-ban 12\)$/m);
  });

  test('of an order that a longer ban outlasts says so, and what would shorten it', async () => {
    await lab.serve(fakeOperations());
    const { out } = await lab.run('bans add 203.0.113.7 --ttl 90s');
    expect(out).toBe(
      'banned 203.0.113.7/32 without end: an earlier ban lasts longer than 90s ("honeymesh bans remove 203.0.113.7/32" first, for a shorter one)\n',
    );
  });

  test('of explain tells the whole chain', async () => {
    await lab.serve(fakeOperations());
    const { out } = await lab.run('explain 203.0.113.7');
    for (const part of [
      '203.0.113.7 is dropped: banned by its own act',
      'touched the trap on port 22',
      'honeymesh bans remove 203.0.113.7',
      'no: documentation',
    ])
      expect(out).toContain(part);
  });
});

describe('confinement and receipts', () => {
  const confined = { ...banRow, confined: true, fullAt: '2026-11-24T12:01:00.000Z' };
  const session = eventRow(7, {
    kind: 'credentials',
    summary: 'tried root:hunter2 on the ssh trap on port 22',
    detail: { trap: 'ssh', head: Buffer.from('SSH-2.0-Go\r\n').toString('base64'), end: 'deadline', credentials: [{ user: 'root', secret: 'hunter2' }] },
  });
  const receipt: ReceiptRow = {
    event: 7,
    at: session.at,
    port: 22,
    trap: 'ssh',
    kind: 'credentials',
    rules: ['password-guess'],
    head: Buffer.from('SSH-2.0-Go\r\n\x1b[2J').toString('base64'),
    receivedBytes: 43,
    sentBytes: 1_024,
    durationMs: 3_002,
    end: 'deadline',
    findings: [{ rule: 'password-guess', reason: 'brute-force', kind: 'credentials', quote: 'root' }],
    credentials: [{ user: 'root', secret: 'hunter2' }],
    fingerprints: [{ name: 'hassh', value: 'ec7378c1a92f5a8d' }],
    transcript: [{ atMs: 120, kind: 'credentials', text: 'root:hunter2\u009b31m' }],
    omitted: 2,
  };
  const operations = () =>
    fakeOperations({
      listBans: () => Promise.resolve([confined]),
      listEvents: () => Promise.resolve([session]),
      explain: () => Promise.resolve({ ...explainReport, verdict: 'confined', ban: confined, events: [session], receipts: [receipt] }),
    });

  test('a list of bans says until when a source is confined', async () => {
    await lab.serve(operations());
    expect((await lab.run('bans list')).out).toContain('confined until 2026-11-24T12:01:00.000Z, then banned');
  });

  test('explain shows a session: fingerprints, rules, what was tried and said, the first bytes, escaped', async () => {
    await lab.serve(operations());
    const { out } = await lab.run('explain 203.0.113.7');
    for (const line of [
      '203.0.113.7 is confined: ',
      'What it said in the traps:',
      '2026-11-24T12:00:00.000Z  ssh on port 22: 43 bytes in, 1024 out, 3s2ms, ended: deadline (event 7)',
      'fingerprint  hassh ec7378c1a92f5a8d',
      'rule         password-guess (brute-force): root',
      'tried        root : hunter2',
      'said         0.120s credentials: root:hunter2\\x9b31m',
      'first bytes  SSH-2.0-Go\\r\\n\\x1b[2J',
      'left out     2 more, for want of room',
    ])
      expect(out).toContain(line);
  });

  test.each(['explain 203.0.113.7', 'events list', 'events export'])('%s --mask shows no guessed secret, in no form', async line => {
    await lab.serve(operations());
    const forms = line === 'events export' ? ['--format json', '--format ndjson', '--format csv'] : ['-o human', '-o json'];
    for (const form of forms) {
      expect((await lab.run(`${line} ${form}`)).out).toContain('hunter2');
      const { out, code } = await lab.run(`${line} ${form} --mask`);
      expect(code).toBe(0);
      expect(out).not.toContain('hunter2');
      expect(out).toContain('[7 characters, f52fbd32]');
    }
  });

  test('tail --mask shows none either', async () => {
    const served = operations();
    await lab.serve(served);
    const over = new AbortController();
    const running = lab.run('tail --mask', { interrupt: over.signal, onOut: () => over.abort() });
    while (served.tails() === 0) await wait(5);
    served.emit(session);
    expect((await running).out).toContain('tried root:[7 characters, f52fbd32] on the ssh trap');
  });

  test.each<[Partial<StatusReport['traps']>, string]>([
    [{}, 'traps         list, patience listen; 0 open sessions; 0 sources confined\n  TCP         22\n  UDP         161\n'],
    [{ choice: 'all', ports: 'all', udpPorts: 'all', confined: 3 }, '3 sources confined\n  TCP         all closed ports\n'],
    [{ running: false, restarts: 2, lost: 5 }, 'NOT running; started again 2 times; 5 observations lost\n'],
    [{ choice: 'off', ports: [], udpPorts: [] }, 'traps         off\n'],
  ])('status tells of the traps: %j', async (traps, words) => {
    await lab.serve(fakeOperations({ status: () => Promise.resolve({ ...statusReport, traps: { ...statusReport.traps, ...traps } }) }));
    expect((await lab.run('status')).out.replaceAll(/^(\s*\S+) +/gm, (_, name) => name.padEnd(14))).toContain(words);
  });
});

describe('bans import', () => {
  const list = '# a list\n203.0.113.7\n\n203.0.113.0/24 ; SBL123\n2001:db8::1,comment\nnonsense\r\n; end\n';

  test('sends the targets and tells the lines of the file that were refused', async () => {
    const operations = fakeOperations({
      importBans: ({ lines }) => Promise.resolve({ added: 3, refused: [{ line: 4, text: lines[3] ?? '', why: 'not an address' }] }),
    });
    await lab.serve(operations);
    const file = join(lab.directory, 'list');
    writeFileSync(file, list);
    const { code, out } = await lab.run(`bans import ${file}`);
    expect(out).toBe('line 6: nonsense: not an address\nbanned 3, refused 1\n');
    expect(code).toBe(1);
    expect(JSON.parse((await lab.run('bans import - -o json', { stdin: list })).out)).toEqual({
      added: 3,
      refused: [{ line: 6, text: 'nonsense', why: 'not an address' }],
    });
  });

  test('cuts a long list into requests and keeps the line numbers', async () => {
    const sizes: number[] = [];
    await lab.serve(
      fakeOperations({
        importBans: ({ lines }) => {
          sizes.push(lines.length);
          return Promise.resolve({ added: lines.length - 1, refused: [{ line: lines.length, text: lines.at(-1) ?? '', why: 'no' }] });
        },
      }),
    );
    const { out } = await lab.run('bans import - -o json', {
      stdin: `#\n${Array.from({ length: 12_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}`).join('\n')}`,
    });
    expect(sizes).toEqual([5_000, 5_000, 2_000]);
    expect((JSON.parse(out) as { refused: { line: number }[] }).refused.map(one => one.line)).toEqual([5_001, 10_001, 12_001]);
  });
});

describe('events', () => {
  const log = Array.from({ length: 12_345 }, (_, at) => eventRow(at + 1));
  const listEvents = (query: { afterId?: number; beforeId?: number; ascending?: boolean; limit?: number }): Promise<readonly EventRow[]> => {
    const matching = log.filter(row => row.id > (query.afterId ?? 0) && row.id < (query.beforeId ?? Number.POSITIVE_INFINITY));
    return Promise.resolve((query.ascending === true ? matching : matching.reverse()).slice(0, query.limit ?? 100));
  };

  test('list fetches more than one page where so many are wanted', async () => {
    await lab.serve(fakeOperations({ listEvents }));
    const rows = JSON.parse((await lab.run('events list --limit 12000 -o json')).out) as EventRow[];
    expect(rows.map(row => row.id)).toEqual(Array.from({ length: 12_000 }, (_, at) => 12_345 - at));
  });

  test.each(['-', 'file'])('export writes all of them, oldest first, to %s', async where => {
    await lab.serve(fakeOperations({ listEvents }));
    const file = join(lab.directory, 'out.ndjson');
    const { code, out, err } = await lab.run(`events export --format ndjson --output ${where === '-' ? '-' : file}`);
    expect(code, err).toBe(0);
    const lines = (where === '-' ? out : readFileSync(file, 'utf8')).trimEnd().split('\n');
    expect(lines.map(line => (JSON.parse(line) as EventRow).id)).toEqual(log.map(row => row.id));
  });

  test('export makes one JSON array, and CSV with a head', async () => {
    await lab.serve(fakeOperations({ listEvents: query => listEvents(query).then(rows => rows.slice(0, 3)) }));
    expect((JSON.parse((await lab.run('events export --format json')).out) as EventRow[]).map(row => row.id)).toEqual([1, 2, 3]);
    const csv = (await lab.run('events export --format csv')).out.trimEnd().split('\r\n');
    expect(csv[0]).toMatch(/^id,at,kind,source/);
    expect(csv).toHaveLength(4);
  });

  test('an export that cannot be written says so and leaves nothing behind', async () => {
    await lab.serve(fakeOperations());
    const { code, err } = await lab.run(`events export --output ${join(lab.directory, 'no', 'where')}`);
    expect(code).toBe(2);
    expect(err).toContain('cannot be written');
  });
});

describe('tail', () => {
  test('prints events until it is interrupted, and that is no failure', async () => {
    const operations = fakeOperations();
    await lab.serve(operations);
    const over = new AbortController();
    let lines = 0;
    const running = lab.run('tail -o json', { interrupt: over.signal, onOut: () => ++lines === 2 && over.abort() });
    while (operations.tails() === 0) await wait(5);
    operations.emit(eventRow(1));
    operations.emit(eventRow(2));
    const { code, out } = await running;
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map(line => (JSON.parse(line) as EventRow).id),
    ).toEqual([1, 2]);
  });
});

describe('dry run', () => {
  test('of what the policy refuses fails and tells why', async () => {
    await lab.serve(
      fakeOperations({
        dryRunBan: () =>
          Promise.resolve({
            target: '0.0.0.0/0',
            refused: 'everybody',
            fix: 'name less',
            addresses: '4294967296',
            allowedWithin: [],
            bystanders: [],
            bansWithin: 0,
            coveredBy: null,
          }),
      }),
    );
    const { code, out } = await lab.run('bans add 0.0.0.0/0 --dry-run');
    expect(code).toBe(1);
    expect(out).toContain('refused: everybody');
    expect(out).toContain('name less');
  });
});

test('a failure is printed as message and fix, on the error stream', async () => {
  await lab.serve(
    fakeOperations({ addBan: () => Promise.reject(new HoneyMeshError('HM_REFUSED', '127.0.0.1/32 is not banned: loopback', { fix: 'name another' })) }),
  );
  expect(await lab.run('bans add 127.0.0.1')).toEqual({ code: 1, out: '', err: 'honeymesh: 127.0.0.1/32 is not banned: loopback\nfix: name another\n' });
});

test('stop waits until the daemon is gone', async () => {
  let stopped = (): void => {};
  const over = new Promise<void>(resolve => {
    stopped = resolve;
  });
  const { createControlServer } = await import('#enforcer/control/server.ts');
  const server = createControlServer(
    { socketPath: lab.pathsOf('main').socket },
    {
      operations: fakeOperations({
        stop: () => {
          setTimeout(() => void server.stop().then(stopped), 300);
          return Promise.resolve({ stopping: true });
        },
      }),
    },
  );
  await server.start();
  const { code, out } = await lab.run('stop');
  await over;
  expect(code).toBe(0);
  expect(out).toContain('the kernel goes on enforcing');
});
