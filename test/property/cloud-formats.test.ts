import { fc, test } from '@fast-check/vitest';
import { decodeAdvisory, decodeAdvisoryList, encodeAdvisory, encodeAdvisoryList, withSignature } from '@honeymesh/intel/hub-advisory';
import {
  REPORT_REFUSALS,
  type ReportRefusal,
  readAnswer,
  readHeartbeat,
  readReceipt,
  writeHeartbeat,
  writeMessage,
  writeReceipt,
} from '@honeymesh/intel/hub-messages';
import { cutReports, decodeReport, encodeReport, MOST_REPORTED } from '@honeymesh/intel/hub-report';
import { base64Of, bytesOfBase64 } from '@honeymesh/intel/json-shape';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { coalesce } from '#cloud/hub/coalesce.ts';
import { SPAN_MS } from '#cloud/hub/pace.ts';
import { mergeRanges, type Range } from '#cloud/hub/receipts.ts';
import { decodeSpan, encodeSpan, spanOfText, spanText } from '#cloud/store/span-format.ts';

const u53 = fc.maxSafeNat();
const piece = (most: number) => fc.uint8Array({ maxLength: most });

describe('what is written is read the same', () => {
  test.prop([fc.array(fc.record({ previous: u53, envelope: piece(1_355) }), { minLength: 1, maxLength: 20 })])('reports', entries => {
    expect(decodeReport(encodeReport(entries))).toEqual({ ok: true, value: entries });
  });

  test.prop([
    fc.constantFrom('urgent' as const, 'digest' as const, 'snapshot' as const),
    fc.boolean(),
    u53,
    u53,
    u53,
    fc.array(piece(300), { maxLength: 5 }),
    fc.array(piece(1_355), { maxLength: 10 }),
    piece(72),
  ])('advisories', (kind, overBudget, epoch, one, other, certificates, envelopes, signature) => {
    const advisory = { kind, overBudget, epoch, number: Math.min(one, other), head: Math.max(one, other), issuedAt: unixMs(epoch), certificates, envelopes };
    const unsigned = encodeAdvisory(advisory);
    expect(decodeAdvisory(withSignature(unsigned, signature))).toEqual({ ok: true, value: { ...advisory, unsigned, signature } });
  });

  test.prop([fc.array(piece(2_000), { maxLength: 10 })])('lists of advisories', list => {
    expect(decodeAdvisoryList(encodeAdvisoryList(list))).toEqual({ ok: true, value: list });
  });

  test.prop([piece(5_000)])('base64, as others write it', bytes => {
    expect(base64Of(bytes)).toBe(Buffer.from(bytes).toString('base64'));
    expect(bytesOfBase64(base64Of(bytes))).toEqual(bytes);
  });

  test.prop([
    u53,
    u53,
    fc.array(fc.tuple(u53, u53), { maxLength: 64 }),
    fc.array(fc.record({ seq: u53, why: fc.constantFrom(...(Object.keys(REPORT_REFUSALS) as ReportRefusal[])) }), { maxLength: 64 }),
  ])('receipts', (at, upTo, ranges, refused) => {
    const receipt = { v: 1 as const, at, epoch: at, upTo, ranges, refused };
    expect(readReceipt(writeReceipt(receipt))).toEqual({ ok: true, value: receipt });
  });

  test.prop([u53, fc.option(fc.record({ epoch: u53, number: u53 })), fc.array(fc.constantFrom('mesh', 'kernel', 'disk'), { maxLength: 8 })])(
    'heartbeats',
    (at, head, degraded) => {
      const heartbeat = { v: 1 as const, at, version: '0.1.0', mode: 'enforce' as const, bans: 1, waiting: 0, head, degraded };
      expect(readHeartbeat(writeHeartbeat(heartbeat))).toEqual({ ok: true, value: heartbeat });
    },
  );

  test.prop([u53, fc.array(piece(500), { maxLength: 20 })])('answers', (epoch, advisories) => {
    const answer = { v: 1 as const, id: 'x', kind: 'range' as const, epoch, from: 1, to: 2, head: 3, advisories };
    expect(readAnswer(writeMessage(answer))).toEqual({ ok: true, value: answer });
  });

  const entry = fc.record({ seq: u53, previous: u53, issuedAt: fc.integer({ min: 0, max: SPAN_MS - 1 }) });
  const refusal = fc.record({ seq: u53, previous: u53, why: fc.constantFrom(...(Object.keys(REPORT_REFUSALS) as ReportRefusal[])) });
  test.prop([fc.nat(), u53, fc.array(entry, { maxLength: 50 }), fc.array(refusal, { maxLength: 50 })])('spans', (index, epoch, entries, refused) => {
    const span = { epoch, index };
    const record = { taken: entries.map(one => ({ ...one, issuedAt: index * SPAN_MS + one.issuedAt })), refused };
    expect(decodeSpan(span, encodeSpan(span, record))).toEqual(record);
    expect(spanOfText(spanText(span))).toEqual(span);
  });
});

test.prop([fc.array(fc.record({ previous: u53, envelope: piece(1_355) }), { maxLength: 300 }), fc.integer({ min: 1_400, max: 20_000 })])(
  'what waits is cut into messages that fit, in order',
  (entries, longestBytes) => {
    const reports = cutReports(entries, longestBytes);
    expect(reports.flat()).toEqual(entries);
    for (const report of reports) {
      expect(report.length).toBeLessThanOrEqual(MOST_REPORTED);
      expect(encodeReport(report).length).toBeLessThanOrEqual(longestBytes);
    }
  },
);

describe('coalesced', () => {
  const outgoing = fc.array(
    fc.record({ who: fc.nat(4), bytes: fc.integer({ min: 170, max: 1_355 }) }).map(({ who, bytes }, at?: number) => ({ who, bytes, at })),
    { maxLength: 200 },
  );
  test.prop([outgoing])('nothing is lost, all fits, each signer is introduced in each message', all => {
    const certificateOf = (who: number): Uint8Array => new Uint8Array(260).fill(who);
    const given = all.map(({ who, bytes }, at) => ({
      ref: { kid: String(who) as never, id: String(at) },
      envelope: new Uint8Array(bytes).fill(who),
      certificates: [new Uint8Array(200).fill(99), certificateOf(who)],
      expiresAt: at,
    }));
    const parcels = coalesce(given, 20_000);
    expect(parcels.flatMap(one => one.envelopes)).toEqual(given.map(one => one.envelope));
    for (const { certificates, envelopes, expiresAt, refs } of parcels) {
      const bytes = withSignature(
        encodeAdvisory({ kind: 'digest', overBudget: false, epoch: 1, number: 1, head: 1, issuedAt: unixMs(1), certificates, envelopes }),
        new Uint8Array(72),
      );
      expect(bytes.length).toBeLessThanOrEqual(20_000);
      expect(new Set(envelopes.map(one => one[0]))).toEqual(new Set(certificates.slice(1).map(one => one[0])));
      expect(expiresAt).toBe(Math.max(...refs.map(({ id }) => Number(id))));
    }
  });
});

const ranges = fc.array(
  fc.tuple(fc.nat(200), fc.nat(20)).map(([from, length]): Range => [from, from + length]),
  { maxLength: 30 },
);
test.prop([ranges])('merged ranges hold the same numbers, ascending and apart', all => {
  const numbersIn = (some: readonly Range[]): Set<number> => new Set(some.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at)));
  const merged = mergeRanges(all);
  expect(numbersIn(merged)).toEqual(numbersIn(all));
  for (const [at, [from]] of merged.entries()) if (at > 0) expect(from).toBeGreaterThan((merged[at - 1]?.[1] ?? 0) + 1);
});
