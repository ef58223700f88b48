import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LONGEST_NAME } from '@honeymesh/intel/certificates';
import { decodeAdvisory, decodeAdvisoryList, encodeAdvisory, encodeAdvisoryList, LONGEST_ADVISORY_BYTES, withSignature } from '@honeymesh/intel/hub-advisory';
import { REPORT_REFUSALS, readHeartbeat, readQuestion, readReceipt, writeReceipt } from '@honeymesh/intel/hub-messages';
import { decodeReport, encodeReport, LONGEST_MESSAGE_BYTES, MOST_REPORTED } from '@honeymesh/intel/hub-report';
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, heartbeatTopic, questionTopic, receiptTopic, reportTopic, thingOfTopic } from '@honeymesh/intel/hub-topics';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';

const numbers = { kind: 'urgent', overBudget: false, epoch: 1, number: 1, head: 1, issuedAt: unixMs(1) } as const;
const advisory = (certificates: readonly Uint8Array[], envelopes: readonly Uint8Array[]): Uint8Array =>
  withSignature(encodeAdvisory({ ...numbers, certificates, envelopes }), new Uint8Array(70));

describe('an advisory', () => {
  test.each([
    ['with an envelope that is too long', advisory([], [new Uint8Array(1_356)]), 'malformed'],
    ['with a certificate that is too long', advisory([new Uint8Array(2_049)], []), 'malformed'],
    ['that is too long', new Uint8Array(LONGEST_ADVISORY_BYTES + 1), 'too-long'],
    ['with a byte more', Uint8Array.of(...advisory([], []), 0), 'malformed'],
    ['of another version', advisory([], []).with(3, 2), 'unknown-version'],
    ['of another kind', advisory([], []).with(4, 9), 'malformed'],
    [
      'with a number beyond its head',
      withSignature(encodeAdvisory({ ...numbers, number: 2, certificates: [], envelopes: [] }), new Uint8Array(0)),
      'malformed',
    ],
    ['with more envelopes than bytes', advisory([], []).with(-72, 255).with(-73, 255), 'malformed'],
    ['that is none', new TextEncoder().encode('HMB'), 'not-an-advisory'],
  ])('%s is none', (_, bytes, why) => {
    expect(decodeAdvisory(bytes)).toEqual({ ok: false, why });
  });

  test('in a list may be as long as alone', () => {
    expect(decodeAdvisoryList(encodeAdvisoryList([new Uint8Array(LONGEST_ADVISORY_BYTES)])).ok).toBe(true);
    expect(decodeAdvisoryList(encodeAdvisoryList([new Uint8Array(LONGEST_ADVISORY_BYTES + 1)]))).toEqual({ ok: false, why: 'malformed' });
  });
});

test('a report holds 128 envelopes and no more, and fits into a message', () => {
  const entry = { previous: 0, envelope: new Uint8Array(1) };
  expect(decodeReport(encodeReport(Array.from({ length: MOST_REPORTED }, () => entry))).ok).toBe(true);
  expect(() => encodeReport(Array.from({ length: MOST_REPORTED + 1 }, () => entry))).toThrow(RangeError);
  expect(() => encodeReport(Array.from({ length: 100 }, () => ({ previous: 0, envelope: new Uint8Array(1_355) })))).toThrow(RangeError);
  expect(decodeReport(new Uint8Array(LONGEST_MESSAGE_BYTES + 1))).toEqual({ ok: false, why: 'oversize' });
});

test('topics keep to the limits of IoT Core, for the longest of names', () => {
  const thing = 'x'.repeat(LONGEST_NAME);
  for (const topic of [reportTopic(thing), heartbeatTopic(thing), questionTopic(thing), receiptTopic(thing), answerTopic(thing)]) {
    expect(topic.length).toBeLessThanOrEqual(256);
    expect(topic.split('/').length - 1).toBeLessThanOrEqual(7);
  }
  expect(thingOfTopic('honeymesh/v1/web1/get', 'get')).toBe('web1');
  for (const topic of ['honeymesh/v1//get', 'honeymesh/v2/web1/get', 'honeymesh/v1/web1/get/', '/honeymesh/v1/web1/get', 'honeymesh/v1/web1/intel']) {
    expect(thingOfTopic(topic, 'get')).toBeNull();
  }
});

test('messages of JSON are read only up to their bound, and only as UTF-8', () => {
  expect(readHeartbeat(new Uint8Array(1_025))).toEqual({ ok: false, why: 'oversize' });
  expect(readQuestion(new Uint8Array(16_385))).toEqual({ ok: false, why: 'oversize' });
  expect(readQuestion(Uint8Array.of(0x22, 0xff, 0x22))).toEqual({ ok: false, why: 'not-json' });
  const ranges = Array.from({ length: 65 }, (_, at) => [at * 2 + 1, at * 2 + 1] as const);
  expect(readReceipt(writeReceipt({ v: 1, at: 1, epoch: 1, upTo: 0, ranges, refused: [] }))).toEqual({ ok: false, why: 'wrong-shape' });
});

test('the page of the protocol names every topic, question and reason', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/hub-protocol.md'), 'utf8');
  const topics = [reportTopic, heartbeatTopic, questionTopic, receiptTopic, answerTopic].map(of => of('THING'));
  for (const word of [...topics, ADVISORY_TOPIC, DIGEST_TOPIC, ...Object.keys(REPORT_REFUSALS), 'introduce', 'range', 'snapshot', 'upload']) {
    expect(page).toContain(`\`${word}\``);
  }
});
