import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createExport, type ExportFormat, toEventRow } from '#enforcer/store/exports.ts';
import { anEvent, NOON } from '#test/support/store.ts';

const ROW = toEventRow({
  ...anEvent({ reasons: ['trap-touch', 'brute-force'], wouldBan: true, target: '203.0.113.7/32' as never, detail: { user: 'root' } }),
  id: 7,
});
const PLAIN = toEventRow({ ...anEvent({ source: null, port: null, protocol: null, tier: null, origin: null, reasons: [], kind: 'lifecycle' }), id: 8 });

function exported(format: ExportFormat, ...pages: readonly (readonly (typeof ROW)[])[]): string {
  const form = createExport(format, { host: 'h1', version: '0.1.0', nowMs: NOON });
  return form.head + pages.map(page => form.rows(page)).join('') + form.foot;
}

describe('a row', () => {
  test('tells the time in RFC 3339 and the techniques of its reasons', () => {
    expect(ROW).toEqual({
      id: 7,
      at: '2026-11-24T12:00:00.000Z',
      kind: 'touch',
      source: '203.0.113.7',
      port: 22,
      protocol: 'tcp',
      tier: 'E1',
      reasons: ['trap-touch', 'brute-force'],
      techniques: ['T1046', 'T1110.001', 'T1110.003', 'T1595'],
      origin: 'trap',
      summary: 'touched port 22',
      wouldBan: true,
      target: '203.0.113.7/32',
      detail: { user: 'root' },
    });
    expect(Object.keys(PLAIN)).not.toContain('wouldBan');
  });

  test('stands a time that no calendar holds', () => {
    expect(toEventRow({ ...anEvent({ at: unixMs(Number.MAX_SAFE_INTEGER) }), id: 1 }).at).toBe('+275760-09-13T00:00:00.000Z');
  });
});

describe('an export', () => {
  test('as JSON is one array, however the pages fall', () => {
    for (const pages of [[], [[]], [[ROW]], [[], [ROW, PLAIN], [], [ROW]]]) expect(JSON.parse(exported('json', ...pages))).toEqual(pages.flat());
  });

  test('as NDJSON is one object a line', () => {
    const lines = exported('ndjson', [ROW], [PLAIN]).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map(line => JSON.parse(line))).toEqual([ROW, PLAIN]);
  });

  test('as CSV has a head, CRLF, empty cells for what is absent and doubled quotes', () => {
    expect(exported('csv', [ROW, PLAIN])).toBe(
      'id,at,kind,source,port,protocol,tier,reasons,techniques,origin,summary,wouldBan,target,detail\r\n' +
        '7,2026-11-24T12:00:00.000Z,touch,203.0.113.7,22,tcp,E1,trap-touch brute-force,T1046 T1110.001 T1110.003 T1595,trap,touched port 22,true,203.0.113.7/32,"{""user"":""root""}"\r\n' +
        '8,2026-11-24T12:00:00.000Z,lifecycle,,,,,,,,touched port 22,,,\r\n',
    );
  });

  test.each([
    ['=cmd|calc!A1', "'=cmd|calc!A1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['  =1', "'  =1"],
    ['a "b", c', '"a ""b"", c"'],
    ['two\r\nlines', '"two\r\nlines"'],
    ['x=1', 'x=1'],
  ])('as CSV writes the summary %j so that no spreadsheet runs it', (summary, cell) => {
    const [, line] = exported('csv', [{ ...PLAIN, summary }]).split('lifecycle,,,,,,,,');
    expect(line).toBe(`${cell},,,\r\n`);
  });
});
