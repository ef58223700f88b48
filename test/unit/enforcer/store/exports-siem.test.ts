import type { EventKind } from '@honeymesh/intel/events';
import { EVENT_KINDS } from '@honeymesh/intel/events';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { EventRow } from '#enforcer/control/operations.ts';
import { uuid5 } from '#enforcer/store/exports/stix.ts';
import { createExport, type ExportFormat, toEventRow } from '#enforcer/store/exports.ts';
import { eventRow } from '#test/support/fake-operations.ts';
import { NOON } from '#test/support/store.ts';

const SURROUNDINGS = { host: 'h1.example', version: '0.1.0', nowMs: NOON };

function exported(format: ExportFormat, rows: readonly EventRow[]): string {
  const form = createExport(format, SURROUNDINGS);
  return form.head + form.rows(rows) + form.foot;
}

const ban = (id: number, target: string, expiresAt: number | null, more: Partial<EventRow> = {}): EventRow =>
  eventRow(id, { kind: 'ban', target, detail: { expiresAt }, ...more });

describe('ECS', () => {
  const documents = (rows: readonly EventRow[]): Record<string, never>[] =>
    exported('ecs', rows)
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));

  test('puts each fact where the schema has it', () => {
    const row = eventRow(7, { kind: 'credentials', reasons: ['brute-force'], techniques: ['T1110.001', 'T1110.003'], detail: { user: 'root' } });
    expect(documents([row])).toEqual([
      {
        '@timestamp': row.at,
        ecs: { version: '8.17.0' },
        observer: { vendor: 'HoneyMesh', product: 'HoneyMesh', type: 'ids', version: '0.1.0', hostname: 'h1.example' },
        message: row.summary,
        event: {
          id: '7',
          sequence: 7,
          module: 'honeymesh',
          dataset: 'honeymesh.events',
          kind: 'alert',
          action: 'credentials',
          severity: 7,
          category: ['authentication', 'intrusion_detection'],
          type: ['start', 'info'],
          outcome: 'failure',
        },
        source: { address: '203.0.113.7', ip: '203.0.113.7' },
        related: { ip: ['203.0.113.7'] },
        destination: { port: 22 },
        network: { type: 'ipv4', transport: 'tcp' },
        threat: { framework: 'MITRE ATT&CK', technique: { id: ['T1110'], subtechnique: { id: ['T1110.001', 'T1110.003'] } } },
        tags: ['brute-force'],
        honeymesh: { tier: 'E1', origin: 'trap', detail: '{"user":"root"}' },
      },
    ]);
  });

  test('writes no prefix into a field of type ip', () => {
    const [document] = documents([eventRow(1, { source: '2001:db8::/64' })]);
    expect(document).toMatchObject({ source: { address: '2001:db8::/64' }, network: { type: 'ipv6' } });
    expect(document?.source).not.toHaveProperty('ip');
    expect(document).not.toHaveProperty('related');
  });

  // Elastic's closed lists (ECS 8.17, "Categorization fields")
  const CATEGORIES =
    'api authentication configuration database driver email file host iam intrusion_detection library malware network package process registry session threat vulnerability web';
  const TYPES: Readonly<Record<string, string>> = {
    authentication: 'start end info',
    configuration: 'access change creation deletion info',
    host: 'access change end info start',
    intrusion_detection: 'allowed denied info',
    network: 'access allowed connection denied end info protocol start',
    threat: 'indicator',
  };

  test.each(EVENT_KINDS)('classes %s by the closed lists, with types that its categories expect', kind => {
    const [{ event } = {}] = documents([eventRow(1, { kind: kind as EventKind })]);
    const { category, type } = event as unknown as { category: string[]; type: string[] };
    expect(CATEGORIES.split(' ')).toEqual(expect.arrayContaining(category));
    const expected = category.flatMap(one => (TYPES[one] ?? '').split(' '));
    for (const one of type) expect(expected).toContain(one);
  });
});

describe('CEF', () => {
  test('has seven header fields and the dictionary names', () => {
    expect(exported('cef', [eventRow(7)])).toBe(
      'CEF:0|HoneyMesh|HoneyMesh|0.1.0|touch|touched the trap on port 22 (7)|5|rt=1795521600000 externalId=7 dvchost=h1.example act=touch deviceDirection=0 ' +
        'msg=touched the trap on port 22 (7) src=203.0.113.7 dpt=22 proto=TCP cat=trap-touch cs1=E1 cs1Label=evidenceTier cs2=trap cs2Label=origin ' +
        'cs3=T1046,T1595 cs3Label=attackTechniques\n',
    );
  });

  test('escapes pipes in the header, equals signs in the extension, backslashes in both', () => {
    const line = exported('cef', [eventRow(1, { summary: String.raw`a|b=c\d` })]);
    expect(line).toContain(String.raw`|a\|b=c\\d|`);
    expect(line).toContain(String.raw`msg=a|b\=c\\d src`);
  });

  test('an attacker makes neither a second record nor a field of it', () => {
    const text = exported('cef', [eventRow(1, { summary: 'x\nCEF:0|evil\r\u2028\u0085 src=192.0.2.1 |10|', detail: { user: 'a\nb=c' } })]);
    expect(text.split(/[\n\r\u0085\u2028]/)).toHaveLength(2); // the record and what follows its end: nothing
    const fields = readCef(text);
    expect(fields.header).toHaveLength(7);
    expect(fields.extension.src).toBe('203.0.113.7');
    expect(fields.extension.msg).toBe('x\nCEF:0|evil\r   src=192.0.2.1 |10|');
    expect(fields.extension.cs6).toBe(String.raw`{"user":"a\nb=c"}`);
  });

  test('an IPv6 source goes where the dictionary has it', () => {
    expect(exported('cef', [eventRow(1, { source: '2001:db8::7' })])).toContain('c6a2=2001:db8::7 c6a2Label=Source IPv6 Address');
  });
});

/** By the rules of the format: an unescaped pipe ends a header field, a key is a word before an unescaped equals sign. */
function readCef(line: string): { readonly header: readonly string[]; readonly extension: Readonly<Record<string, string>> } {
  const parts: string[] = [];
  let rest = line.trimEnd();
  for (let nth = 0; nth < 7; nth++) {
    const end = /(?<!\\)(?:\\\\)*\|/.exec(rest);
    const at = (end?.index ?? 0) + (end?.[0].length ?? 0);
    parts.push(rest.slice(0, at - 1));
    rest = rest.slice(at);
  }
  const keys = [...rest.matchAll(/(?:^| )(\w+)(?<!\\)=/g)];
  const extension = Object.fromEntries(
    keys.map((key, nth) => {
      const from = key.index + key[0].length;
      const value = rest.slice(from, keys[nth + 1]?.index ?? rest.length);
      return [key[1] ?? '', value.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one === 'r' ? '\r' : one))];
    }),
  );
  return { header: parts, extension };
}

describe('STIX', () => {
  type Stix = Readonly<Record<string, unknown>> & { readonly type: string; readonly id: string };
  const bundle = (rows: readonly EventRow[]): readonly Stix[] => (JSON.parse(exported('stix', rows)) as { objects: Stix[] }).objects;

  test('a ban is an indicator that ends when the ban does', () => {
    const [, one] = bundle([ban(7, '203.0.113.7/32', NOON + 3_600_000)]);
    expect(one).toMatchObject({
      type: 'indicator',
      spec_version: '2.1',
      created: '2026-11-24T12:00:00.000Z',
      modified: '2026-11-24T12:00:00.000Z',
      pattern: "[ipv4-addr:value = '203.0.113.7']",
      pattern_type: 'stix',
      valid_from: '2026-11-24T12:00:00.000Z',
      valid_until: '2026-11-24T13:00:00.000Z',
      indicator_types: ['malicious-activity'],
      confidence: 50,
    });
  });

  test('a ban without end has no valid_until, and one that ended before it began is valid for a moment, as STIX wants it', () => {
    const [, forever, over] = bundle([ban(1, '2001:db8::/64', null), ban(2, '203.0.113.0/24', 5)]);
    expect(forever).not.toHaveProperty('valid_until');
    expect(forever?.pattern).toBe("[ipv6-addr:value ISSUBSET '2001:db8::/64']");
    expect(over).toMatchObject({ pattern: "[ipv4-addr:value ISSUBSET '203.0.113.0/24']", valid_until: '2026-11-24T12:00:00.001Z' });
  });

  test('an attack is observed data that refers to objects of the bundle; an address is written once', () => {
    const objects = bundle([eventRow(1), eventRow(2, { port: 23 })]);
    expect(objects.map(({ type }) => type)).toEqual(['identity', 'ipv4-addr', 'network-traffic', 'observed-data', 'network-traffic', 'observed-data']);
    const ids = new Set(objects.map(({ id }) => id));
    for (const object of objects.filter(({ type }) => type === 'observed-data')) for (const ref of object.object_refs as string[]) expect(ids).toContain(ref);
    expect(objects[2]).toMatchObject({ src_ref: objects[1]?.id, dst_port: 22, protocols: ['ipv4', 'tcp'] });
  });

  test('what is about this host alone is left out', () => {
    expect(bundle([eventRow(1, { kind: 'lifecycle', source: null }), eventRow(2, { kind: 'allow' }), eventRow(3, { kind: 'lift' })])).toHaveLength(1);
  });

  test('the same event is the same object in every export, another host or event another one', () => {
    expect(bundle([eventRow(1)])).toEqual(bundle([eventRow(1)]));
    const ids = bundle([ban(1, '203.0.113.7/32', null), ban(2, '203.0.113.7/32', null)]).map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    const elsewhere = createExport('stix', { ...SURROUNDINGS, host: 'h2' });
    expect(JSON.parse(elsewhere.head + elsewhere.rows([ban(1, '203.0.113.7/32', null)]) + elsewhere.foot).objects[1].id).not.toBe(ids[1]);
  });

  test('the id of an address is the one that every other tool makes (UUIDv5 of the standard)', () => {
    // As Python's uuid makes it of the standard's namespace and {"value":"198.51.100.3"}
    const [, address] = bundle([eventRow(1, { source: '198.51.100.3' })]);
    expect(address?.id).toBe('ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4');
    expect(uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2'); // RFC 9562, A.4
  });

  test('every id is its type and a UUID, every time is of the calendar', () => {
    for (const object of bundle([
      { ...eventRow(1), at: toEventRow({ ...eventRow(1), id: 1, at: unixMs(Number.MAX_SAFE_INTEGER) } as never).at },
      ban(2, '203.0.113.7/32', 1e20),
    ])) {
      expect(object.id).toMatch(new RegExp(`^${object.type}--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`));
      for (const [key, value] of Object.entries(object))
        if (/^(created|modified|valid_|first_|last_|start)/.test(key) && key !== 'created_by_ref')
          expect(value).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });
});

describe('the plain list', () => {
  test('holds the targets of bans that are not over, each once, and nothing that was not banned', () => {
    const rows = [
      ban(1, '203.0.113.7/32', null),
      ban(2, '203.0.113.7/32', NOON + 1),
      ban(3, '2001:db8::/64', NOON + 1),
      ban(4, '198.51.100.1/32', NOON),
      ban(5, '198.51.100.2/32', null, { wouldBan: true }),
      eventRow(6, { kind: 'allow', target: '198.51.100.3/32' }),
      eventRow(7),
    ];
    expect(exported('list', rows)).toBe('203.0.113.7\n2001:db8::/64\n');
  });
});
