/** Whatever an attacker says: each format's own rules give back what was exported, and nothing of it becomes a record, a field or a formula. */
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { EventRow } from '#enforcer/control/operations.ts';
import { createRedaction } from '#enforcer/health/redaction.ts';
import { syslogMessage } from '#enforcer/notify/syslog.ts';
import { createExport, type ExportFormat } from '#enforcer/store/exports.ts';
import { eventRow } from '#test/support/fake-operations.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(fc.constantFrom(' src=', '|', '\\', '\nCEF:0|', '=', '"', "'", ',', '\r', '\n', '+', '-', '@', '\t', ' ', 'x', '\u2028', '\u0085', '\u202e', 'ä'), {
      maxLength: 30,
    })
    .map(parts => parts.join('')),
);
const rows = fc
  .array(fc.record({ summary: hostile, user: hostile }), { maxLength: 6 })
  .map(list => list.map(({ summary, user }, at) => eventRow(at + 1, { summary, detail: { user } })));

function exported(format: ExportFormat, list: readonly EventRow[]): string {
  const form = createExport(format, { host: 'h1', version: '1', nowMs: 0 });
  return form.head + form.rows(list) + form.foot;
}

/** RFC 4180, read by its grammar; undefined where the text is not of it. */
function readCsv(text: string): string[][] | undefined {
  const records: string[][] = [];
  for (let at = 0; at < text.length; ) {
    const record: string[] = [];
    for (;;) {
      const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
      field.lastIndex = at;
      const match = field.exec(text);
      if (match === null) return undefined;
      record.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
      at = field.lastIndex;
      if (match[3] === '\r\n') break;
    }
    records.push(record);
  }
  return records;
}

describe('exports of hostile words', () => {
  test.prop([rows])('CSV gives back each of them, and none is a formula', list => {
    const records = readCsv(exported('csv', list));
    expect(records).toHaveLength(list.length + 1);
    const column = records?.[0]?.indexOf('summary') ?? -1;
    for (const [at, row] of list.entries()) {
      const cell = records?.[at + 1]?.[column] ?? '';
      expect([row.summary, `'${row.summary}`]).toContain(cell);
      expect(cell).not.toMatch(/^\s*[=+\-@|%]/);
      expect(JSON.parse(records?.[at + 1]?.at(-1) ?? '')).toEqual(row.detail);
    }
  });

  test.prop([rows])('JSON, NDJSON, ECS and STIX are JSON, one document a line where they are lines', list => {
    expect(JSON.parse(exported('json', list))).toEqual(list);
    const lines = (format: ExportFormat): string[] => exported(format, list).split('\n').slice(0, -1);
    expect(lines('ndjson').map(line => JSON.parse(line))).toEqual(list);
    expect(lines('ecs').map(line => JSON.parse(line).message)).toEqual(list.map(row => row.summary));
    expect(JSON.parse(exported('stix', list)).objects.filter((object: { type: string }) => object.type === 'observed-data')).toHaveLength(list.length);
  });

  test.prop([rows])('CEF is one line an event, with seven header fields and no field that it was not given', list => {
    const lines = exported('cef', list).split(/\r\n|[\n\r\u0085\u2028\u2029]/);
    expect(lines.pop()).toBe('');
    expect(lines).toHaveLength(list.length);
    for (const line of lines) {
      const header = /^CEF:0(?:\|(?:[^|\\]|\\[|\\])*){6}\|/.exec(line)?.[0] ?? '';
      const keys = [...line.slice(header.length).matchAll(/(?<=^| )(\w+)=/g)].map(match => match[1]);
      const known = [
        'rt',
        'externalId',
        'dvchost',
        'act',
        'deviceDirection',
        'msg',
        'src',
        'dpt',
        'proto',
        'cat',
        'cs1',
        'cs1Label',
        'cs2',
        'cs2Label',
        'cs3',
        'cs3Label',
        'cs6',
        'cs6Label',
      ];
      expect(keys).toEqual(known);
    }
  });
});

test.prop([fc.array(hostile, { maxLength: 5 }), fc.integer({ min: 480, max: 2_048 })])(
  'a syslog message is one line within its bound, of whole characters',
  (words, longest) => {
    const digest = {
      id: 'x',
      test: false,
      host: words[0] ?? 'h',
      instance: 'main',
      from: 'a',
      to: 'b',
      total: 1,
      kinds: {},
      sources: [],
      severity: 5,
      events: words.map((summary, at) => eventRow(at, { summary })),
    };
    const bytes = syslogMessage(digest, { facility: 'auth', pid: 1, longest });
    expect(bytes.length).toBeLessThanOrEqual(longest);
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    expect(text).not.toMatch(/[\r\n\u0085\u2028\u2029]/);
    expect(text).toMatch(/^<37>1 b [\x21-\x7e]+ honeymesh 1 digest \[honeymesh@32473 [^\]]*\] \ufeff/);
  },
);

const secret = fc
  .string({ unit: fc.constantFrom(...'abcXYZ0189+/=.:"\\ -_ä'), minLength: 8, maxLength: 40 })
  .filter(text => text.trim().length >= 8 && !'(left out)'.includes(text));

test.prop([secret, hostile, hostile, fc.constantFrom('plain', 'hex', 'base64', 'uri')])(
  'a known secret is in no text of a dump, in none of its forms',
  (known, before, after, form) => {
    const bytes = Buffer.from(known);
    const written = { plain: known, hex: bytes.toString('hex'), base64: bytes.toString('base64'), uri: encodeURIComponent(known) }[form] ?? known;
    const redacted = JSON.stringify(createRedaction([known])({ why: `${before}${written}${after}`, list: [{ [written]: written }] }));
    expect(redacted).not.toContain(JSON.stringify(written).slice(1, -1));
  },
);
