/** Events as the operator's rows, and the formats in which rows leave this host. */
import type { StoredEvent } from '@honeymesh/intel/events';
import { unreachable } from '@honeymesh/intel/parsed';
import { techniquesOf } from '@honeymesh/intel/reasons';
import { rfc3339, unixMs } from '@honeymesh/intel/time';
import type { EventRow } from '../control/operations.ts';
import { cefExport } from './exports/cef.ts';
import { ecsExport } from './exports/ecs.ts';
import type { EventExport, ExportSurroundings } from './exports/form.ts';
import { csvExport, jsonExport, listExport, ndjsonExport } from './exports/plain.ts';
import { stixExport } from './exports/stix.ts';

/** The last instant that a Date can hold (ECMA-262, 21.4.1.1). */
const LATEST_MS = 8.64e15;

export function toEventRow(event: StoredEvent): EventRow {
  const at = unixMs(Math.min(Math.max(event.at, -LATEST_MS), LATEST_MS));
  return {
    id: event.id,
    at: rfc3339(at),
    kind: event.kind,
    source: event.source,
    port: event.port,
    protocol: event.protocol,
    tier: event.tier,
    reasons: event.reasons,
    techniques: techniquesOf(event.reasons),
    origin: event.origin,
    summary: event.summary,
    ...(event.wouldBan === undefined ? {} : { wouldBan: event.wouldBan }),
    ...(event.target === undefined ? {} : { target: event.target }),
    ...(event.detail === undefined ? {} : { detail: event.detail }),
  };
}

export const EXPORT_FORMATS = {
  json: { mediaType: 'application/json', extension: 'json', about: 'one array' },
  ndjson: { mediaType: 'application/x-ndjson', extension: 'ndjson', about: 'one object a line' },
  csv: { mediaType: 'text/csv; charset=utf-8', extension: 'csv', about: 'RFC 4180 with a head' },
  ecs: { mediaType: 'application/x-ndjson', extension: 'ecs.ndjson', about: 'Elastic Common Schema, one document a line' },
  stix: { mediaType: 'application/stix+json;version=2.1', extension: 'stix.json', about: 'STIX 2.1: bans as indicators, attacks as observed data' },
  cef: { mediaType: 'text/plain; charset=utf-8', extension: 'cef', about: 'Common Event Format, one event a line' },
  list: { mediaType: 'text/plain; charset=utf-8', extension: 'txt', about: 'targets of bans that are not over, one a line' },
} as const;
export type ExportFormat = keyof typeof EXPORT_FORMATS;
export const isExportFormat = (text: string): text is ExportFormat => Object.hasOwn(EXPORT_FORMATS, text);

/** docs/exports.md tells each format's mapping; exports/stream.ts makes bytes of it. */
export function createExport(format: ExportFormat, surroundings: ExportSurroundings): EventExport {
  switch (format) {
    case 'json':
      return jsonExport();
    case 'ndjson':
      return ndjsonExport();
    case 'csv':
      return csvExport();
    case 'ecs':
      return ecsExport(surroundings);
    case 'stix':
      return stixExport(surroundings);
    case 'cef':
      return cefExport(surroundings);
    case 'list':
      return listExport(surroundings);
    default:
      return unreachable(format);
  }
}
