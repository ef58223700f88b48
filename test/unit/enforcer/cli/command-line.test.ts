import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

describe('a wrong command line ends with 2 and says what was meant', () => {
  test.each<[line: string, message: string, fix: string]>([
    ['stauts', "unknown command 'stauts'", 'did you mean status?'],
    ['bans lst', "unknown command 'lst'", 'did you mean list?'],
    ['bans list --instanc x', "unknown option '--instanc'", 'did you mean --instance?'],
    ['bans add', "missing required argument 'target'", '"honeymesh help" lists the commands'],
    ['bans add 203.0.113.7 203.0.113.8', 'too many arguments', '"honeymesh help"'],
    ['bans add 203.0.113.7 --ttl', "option '--ttl <duration>' argument missing", '"honeymesh help"'],
    ['bans add 203.0.113.7/24', '"203.0.113.7/24" has bits set beyond its length: did you mean 203.0.113.0/24 or 203.0.113.7?', 'write it such as'],
    ['bans add 203.0.113.777', '"203.0.113.777" is not an address or prefix', 'write it such as'],
    ['bans add 203.0.113.7 --ttl 24', '"24" has no unit', 'write it such as 90s, 5m, 24h or 30d'],
    ['bans add 203.0.113.7 --ttl 0s', '"0s" is no time at all', 'write it such as'],
    ['bans list --tier E7', '"E7" is no evidence tier', 'give one of E0, E1, E2, operator'],
    ['bans list -o yaml', "option '-o, --output <form>' argument 'yaml' is invalid. Allowed choices are human, json.", ''],
    ['bans import /nowhere', '/nowhere cannot be read: ENOENT', 'name a file'],
    ['events list --kind scam', '"scam" is no event kind', 'did you mean scan?'],
    ['events list --since yesterday', '"yesterday" is not a time', 'RFC 3339'],
    ['events list --limit 0', '"0" is no limit', 'from 1 to'],
    ['events list --port 65536', '"65536" is no port', 'from 0 to 65535'],
    ['explain 203.0.113.0/24', '"203.0.113.0/24" is not one address', 'write one address'],
    ['pause soon', '"soon" is not a duration', 'write it such as'],
    ['status --instance ../x', '"../x" is no instance name', 'lower-case letters'],
    ['status --config /nowhere.yaml', '--config "/nowhere.yaml": there is no such file', 'name the configuration file'],
    ['run --mode enforc', '--mode: "enforc" is wrong: give one of observe, enforce, lockdown; did you mean enforce?', 'config check'],
  ])('%s', async (line, message, fix) => {
    const operations = fakeOperations();
    await lab.serve(operations);
    const file = join(lab.directory, 'none.yaml');
    writeFileSync(file, '');
    const { code, out, err } = await lab.run(line);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(`honeymesh: ${message}`);
    expect(err.split('\nfix: ')[1]).toContain(fix);
    expect(operations.asked).toEqual([]);
  });

  test.each(['', 'bans', 'events'])('"%s" alone shows the help on the error stream', async line => {
    const { code, out, err } = await lab.run(line);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('Usage: honeymesh');
  });
});

test.each(['--help', 'help', 'help bans', 'bans --help', 'bans add --help', '--version'])('%s is done', async line => {
  const { code, out, err } = await lab.run(line);
  expect([code, err]).toEqual([0, '']);
  expect(out.length).toBeGreaterThan(0);
});

describe('without a daemon', () => {
  test.each(['status', 'bans list', 'bans add 203.0.113.7', 'allow list', 'events list', 'events export', 'explain 203.0.113.7', 'pause 5m', 'tail', 'stop'])(
    '%s ends with 3 and says how to start it',
    async line => {
      const { code, out, err } = await lab.run(line);
      expect([code, out]).toEqual([3, '']);
      expect(err).toMatch(/^honeymesh: no daemon answers on .*control\.sock\nfix: start it: "npm start"/);
    },
  );

  test('config check and config show work', async () => {
    const file = join(lab.directory, 'c.yaml');
    writeFileSync(file, 'interfaces: [eth0]\nmode: observe\n');
    expect(await lab.run(`config check --config ${file}`)).toEqual({ code: 0, out: `${file}: ok\n`, err: '' });
    const shown = await lab.run(`config show --config ${file}`, { environment: { HONEYMESH_MODE: 'lockdown' } });
    expect(shown.out).toContain('interfaces: [eth0]  # file, line 1\nmode: lockdown  # HONEYMESH_MODE\n');
    expect(JSON.parse((await lab.run(`config show -o json --config ${file}`)).out)).toMatchObject({
      interfaces: ['eth0'],
      mode: 'observe',
      services: { ports: [], grace: '24h' },
    });
  });

  test('what config show prints is a configuration', async () => {
    writeFileSync(
      join(lab.directory, 'none.yaml'),
      'allow: ["::1/128", 2001:db8::/32]\nservices: { ports: ["53/udp", "8000-8100"] }\ntraps: { ports: [22] }\n',
    );
    const { out } = await lab.run('config show');
    const again = join(lab.directory, 'again.yaml');
    writeFileSync(again, out);
    expect(await lab.run(`config check --config ${again}`)).toMatchObject({ code: 0, err: '' });
    expect((await lab.run(`config show -o json --config ${again}`)).out).toBe((await lab.run('config show -o json')).out);
  });

  test('config check tells every problem and ends with 2', async () => {
    const file = join(lab.directory, 'c.yaml');
    writeFileSync(file, 'mod: observe\nservices: { grace: 24 }\n');
    const { code, out, err } = await lab.run(`config check --config ${file}`);
    expect([code, out]).toEqual([2, '']);
    expect(err.split('\n')).toEqual([
      `honeymesh: ${file}:1:1: mod: unknown key, did you mean mode?`,
      `honeymesh: ${file}:2:20: services.grace: 24 has no unit: write a duration such as "24h" (ms, s, m, h, d)`,
      expect.stringContaining('fix: '),
      '',
    ]);
    const json = await lab.run(`config check -o json --config ${file}`);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.out)).toMatchObject({
      ok: false,
      file,
      problems: [
        { where: file, line: 1, column: 1, key: 'mod' },
        { line: 2, key: 'services.grace' },
      ],
    });
  });

  test('events verify looks at the log itself', async () => {
    const { code, err } = await lab.run('events verify');
    expect(code).toBe(1);
    expect(err).toContain('honeymesh: ');
    mkdirSync(lab.pathsOf('main').state, { recursive: true });
    expect((await lab.run('events verify')).code).not.toBe(3);
  });

  test('doctor examines the machine', async () => {
    writeFileSync(join(lab.directory, 'none.yaml'), 'mod: x\n');
    const { code, out } = await lab.run('doctor -o json');
    expect([0, 1]).toContain(code);
    const checks = JSON.parse(out) as { what: string; ok: boolean | null; why: string; fix: string | null }[];
    expect(checks[0]).toMatchObject({ what: 'configuration', ok: false });
    expect(checks.length).toBeGreaterThan(5);
  });
});

describe('the process', () => {
  const main = fileURLToPath(new URL('../../../../enforcer/main.ts', import.meta.url));
  const start = (args: readonly string[]): Promise<{ code: number; out: string; err: string; tookMs: number }> =>
    new Promise(resolve => {
      const began = performance.now();
      execFile(process.execPath, [main, ...args], (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err, tookMs: performance.now() - began }),
      );
    });

  test('carries the exit codes out', async () => {
    expect((await start(['--version'])).code).toBe(0);
    expect((await start(['status', '--instance', 'unit-test-nobody'])).code).toBe(3);
    expect((await start(['stauts'])).code).toBe(2);
  });

  test('starts within what a person does not notice', async () => {
    await start(['--version']);
    const times = [];
    for (let round = 0; round < 5; round++) times.push((await start(['status', '--instance', 'unit-test-nobody'])).tookMs);
    // The goal is 300 ms on a quiet machine; the best of five keeps a busy one from failing this.
    expect(Math.min(...times)).toBeLessThan(600);
  });

  test('says in a line what it could not print where', async () => {
    const line = `"${process.execPath}" "${main}" help > /dev/full`;
    const full = await new Promise<{ code: number; err: string }>(resolve =>
      execFile('sh', ['-c', line], (error, _out, err) => resolve({ code: Number(error?.code ?? 0), err })),
    );
    expect(full.code).toBe(1);
    expect(full.err).toMatch(/^honeymesh: what was to be printed could not be written: .*ENOSPC.*\nfix: .*\n$/);
  });

  test('does not mind that its reader goes away', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${main}" help | true; exit 0`]);
    let err = '';
    child.stderr.on('data', part => {
      err += String(part);
    });
    await new Promise(resolve => child.once('close', resolve));
    expect(err).toBe('');
  });
});
