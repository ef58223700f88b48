/**
 * STIX 2.1 (OASIS Standard, 10 June 2021): a ban is an indicator that ends with it, what was seen of a source is observed data. Ids are made from what they
 * name (UUIDv5), so that the same event exported twice is the same object to whoever imports it.
 */
import { hash } from 'node:crypto';
import { safeJson } from '@honeymesh/intel/escape';
import type { Tier } from '@honeymesh/intel/evidence';
import { rfc3339, unixMs } from '@honeymesh/intel/time';
import type { EventRow } from '../../control/operations.ts';
import { ATTACKS, type EventExport, type ExportProof, type ExportSurroundings, placeOf } from './form.ts';
import { createRecent } from './plain.ts';

/** Of our own objects. */
const NAMESPACE = '4f6e6a0e-7f0b-5d3e-9a51-6d2f7c1b8e30';
/** Of cyber-observable objects: STIX 2.1, 2.9. */
const OBSERVABLES = '00abedb4-aa42-466c-9c01-fed23315a9b7';
/** The identity of a host never changes, and neither do its times. */
const ALWAYS = '2026-01-01T00:00:00.000Z';
const LATEST = unixMs(Date.UTC(9999, 11, 31, 23, 59, 59, 999));
/** Addresses whose object was written lately; further back it is written again, which STIX allows. */
const REMEMBERED = 20_000;

/** STIX 2.1, appendix A ("None / Low / Med / High"): a packet's source may be forged, a handshake's may not. */
const CONFIDENCE: Readonly<Record<Tier, number>> = { E0: 15, E1: 50, E2: 85, operator: 85 };

export function stixExport({ host }: ExportSurroundings): EventExport {
  const identity = idOf('identity', NAMESPACE, host);
  const written = createRecent(REMEMBERED);
  let started = false;

  const common = (type: string, id: string, at: string): object => ({ type, spec_version: '2.1', id, created_by_ref: identity, created: at, modified: at });
  const text = (objects: readonly object[]): string => {
    const joined = objects.map((object, at) => `${started || at > 0 ? ',' : ''}\n${safeJson(JSON.stringify(object))}`).join('');
    started ||= objects.length > 0;
    return joined;
  };

  function indicator(row: EventRow, target: string): object {
    const at = timeOf(Date.parse(row.at));
    const expiresAt = row.detail?.expiresAt;
    const place = placeOf(target);
    const techniques = row.techniques.map(id => ({
      source_name: 'mitre-attack',
      external_id: id,
      url: `https://attack.mitre.org/techniques/${id.replace('.', '/')}`,
    }));
    return {
      ...common('indicator', idOf('indicator', NAMESPACE, host, row.id, row.at, target), at),
      name: `${place.text} banned`,
      description: row.summary,
      indicator_types: ['malicious-activity'],
      pattern: `[ipv${place.family}-addr:value ${place.address ? '=' : 'ISSUBSET'} '${place.text}']`,
      pattern_type: 'stix',
      pattern_version: '2.1',
      valid_from: at,
      ...(typeof expiresAt === 'number' ? { valid_until: timeOf(Math.max(expiresAt, Date.parse(at) + 1)) } : {}),
      ...(row.reasons.length === 0 ? {} : { labels: row.reasons }),
      ...(row.tier === null ? {} : { confidence: CONFIDENCE[row.tier] }),
      ...(techniques.length === 0 ? {} : { external_references: techniques }),
    };
  }

  function observed(row: EventRow, source: string): readonly object[] {
    const at = timeOf(Date.parse(row.at));
    const place = placeOf(source);
    const type = `ipv${place.family}-addr`;
    const address = { type, spec_version: '2.1', id: observableId(type, { value: place.text }), value: place.text };
    const traffic = trafficOf(row, at, place.family, address.id);
    const refs = [address.id, ...(traffic === null ? [] : [traffic.id])];
    return [
      ...(written.add(address.id) ? [address] : []),
      ...(traffic === null ? [] : [traffic]),
      {
        ...common('observed-data', idOf('observed-data', NAMESPACE, host, row.id, row.at, source), at),
        first_observed: at,
        last_observed: at,
        number_observed: 1,
        object_refs: refs,
        labels: [row.kind, ...row.reasons],
      },
    ];
  }

  const objectsOf = (row: EventRow): readonly object[] => {
    if (row.kind === 'ban') return row.target === undefined ? [] : [indicator(row, row.target)];
    return row.source === null || !ATTACKS.has(row.kind) ? [] : observed(row, row.source);
  };

  return {
    head: `{"type":"bundle","id":"${idOf('bundle', NAMESPACE, host)}","objects":[${text([
      {
        type: 'identity',
        spec_version: '2.1',
        id: identity,
        created: ALWAYS,
        modified: ALWAYS,
        name: `HoneyMesh on ${host}`,
        identity_class: 'system',
      },
    ])}`,
    rows: page => text(page.flatMap(objectsOf)),
    proof: proof => text([proofNote(proof, identity)]),
    foot: '\n]}\n',
  };
}

/** A note about whom the bundle is from: an object that every reader knows and none acts on. */
function proofNote(proof: ExportProof, identity: string): object {
  const content = JSON.stringify(proof);
  return {
    type: 'note',
    spec_version: '2.1',
    id: idOf('note', NAMESPACE, content),
    created_by_ref: identity,
    created: proof.exportedAt,
    modified: proof.exportedAt,
    abstract: 'HoneyMesh export proof',
    content,
    object_refs: [identity],
  };
}

function trafficOf({ port, protocol }: EventRow, start: string, family: 4 | 6, source: string): { readonly id: string } | null {
  if (protocol === null) return null;
  const protocols = [`ipv${family}`, protocol === 'icmp' && family === 6 ? 'ipv6-icmp' : protocol];
  const traffic = { start, src_ref: source, ...(port === null ? {} : { dst_port: port }), protocols };
  return { type: 'network-traffic', spec_version: '2.1', id: observableId('network-traffic', traffic), ...traffic } as { readonly id: string };
}

const timeOf = (ms: number): string => rfc3339(unixMs(Math.min(Math.max(Number.isFinite(ms) ? ms : LATEST, 0), LATEST)));

const idOf = (type: string, namespace: string, ...parts: readonly (string | number)[]): string =>
  `${type}--${uuid5(namespace, JSON.stringify([type, ...parts]))}`;

/** From the properties that make the object what it is, as canonical JSON (RFC 8785): keys in order, our values need no more. */
const observableId = (type: string, properties: object): string =>
  `${type}--${uuid5(OBSERVABLES, JSON.stringify(Object.fromEntries(Object.entries(properties).sort(([one], [other]) => (one < other ? -1 : 1)))))}`;

/** RFC 9562, 5.5. */
export function uuid5(namespace: string, name: string): string {
  const digest = Buffer.from(hash('sha1', Buffer.concat([Buffer.from(namespace.replaceAll('-', ''), 'hex'), Buffer.from(name)]), 'buffer').subarray(0, 16));
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
