/** `npm run oracle -- FOLDER`, on captures that we write ourselves. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { segment, syn } from '#test/support/frames/frames.ts';
import { createRandom } from '#test/support/oracle/random.ts';
import { randomSequence, shapes } from '#test/support/oracle/random-frames.ts';
import { writePcap, writePcapng } from '#test/support/pcap-writer.ts';

const SCRIPT = fileURLToPath(new URL('../support/oracle/run-folder.ts', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-captures-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const run = (path: string): Promise<{ code: number | string; stdout: string; stderr: string }> =>
  new Promise(resolve => {
    execFile(process.execPath, [SCRIPT, path], { timeout: 50_000 }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });

test('plays every capture of a folder and counts what was decided', async () => {
  const frames = randomSequence(createRandom(5), 2_000);
  const scan = Array.from({ length: 100 }, (_, at) => syn('203.0.113.7', '198.51.100.1', at + 1));
  const xmas = Array.from({ length: 100 }, (_, at) => segment('203.0.113.7', '198.51.100.1', at + 1, 'FPU'));
  mkdirSync(join(folder, 'deeper'));
  writeFileSync(join(folder, 'a-scan.pcap'), writePcap([...scan, ...xmas], { little: false, nanoseconds: true }));
  writeFileSync(join(folder, 'b-shapes.pcapng'), writePcapng(shapes()));
  writeFileSync(join(folder, 'deeper', 'c-random'), writePcapng(frames, { little: false }));
  writeFileSync(join(folder, 'd-cut.pcap'), writePcap(scan).slice(0, -1));
  writeFileSync(
    join(folder, 'e-raw.pcap'),
    writePcap(
      scan.map(frame => frame.slice(14)),
      { linkType: 101 },
    ),
  );
  writeFileSync(join(folder, 'f-nonsense.pcap'), 'this is no capture');
  writeFileSync(join(folder, 'notes.txt'), 'this neither, and does not claim to be');
  const { code, stdout, stderr } = await run(folder);
  expect([code, stderr]).toEqual([0, '']);
  const rows = stdout.trim().split('\n');
  expect(rows.length).toBe(7);
  expect(rows[1]).toMatch(/^a-scan.pcap +200 +0 .*drop-ban 200.*/);
  expect(rows[1]).toMatch(/drop-anomaly|drop-scan/);
  expect(rows[2]).toMatch(/^b-shapes.pcapng +\d{3} +0 /);
  expect(rows[3]).toMatch(/^d-cut.pcap +99 +0 .*malformed: record cut short/);
  expect(rows[4]).toMatch(/^deeper\/c-random +2000 +0 /);
  expect(rows[5]).toMatch(/^e-raw.pcap +100 +0 /);
  expect(rows[6]).toMatch(/^f-nonsense.pcap +0 +0 +malformed: neither pcap nor pcapng/);
});

test('says what it needs where there is nothing to play', async () => {
  expect(await run(folder)).toMatchObject({ code: 2, stderr: expect.stringContaining('no captures in') });
  expect(await run(join(folder, 'missing'))).toMatchObject({ code: 2, stderr: expect.stringContaining('usage: npm run oracle') });
});
