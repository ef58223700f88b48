/** Elastic Common Schema 8.17 as NDJSON: one document an event. Only fields and values of the schema, the rest below `honeymesh`. */
import { safeJson } from '@honeymesh/intel/escape';
import type { EventKind } from '@honeymesh/intel/events';
import type { EventRow } from '../../control/operations.ts';
import { ATTACKS, type EventExport, type ExportProof, type ExportSurroundings, placeOf, severityOf } from './form.ts';

const ECS_VERSION = '8.17.0';

interface Classes {
  readonly category: readonly string[];
  readonly type: readonly string[];
}

/** event.category and event.type: from the closed lists of ECS, in pairs that it expects. */
function classesOf(kind: EventKind): Classes {
  switch (kind) {
    case 'credentials':
      return { category: ['authentication', 'intrusion_detection'], type: ['start', 'info'] };
    case 'ban':
    case 'evict':
      return { category: ['intrusion_detection', 'network'], type: ['denied'] };
    case 'lift':
    case 'expire':
    case 'allow':
      return { category: ['intrusion_detection', 'network'], type: ['allowed'] };
    case 'auth':
      return { category: ['authentication'], type: ['info'] };
    case 'config':
      return { category: ['configuration'], type: ['change'] };
    case 'lifecycle':
    case 'degraded':
    case 'peer':
    case 'hub':
      return { category: ['host'], type: ['info'] };
    case 'advice-sent':
    case 'advice-accepted':
    case 'advice-refused':
    case 'withdrawal':
      return { category: ['threat'], type: ['indicator'] };
    case 'exploit':
    case 'command':
    case 'payload':
      return { category: ['intrusion_detection', 'network'], type: ['info'] };
    default:
      return { category: ['intrusion_detection', 'network'], type: ['connection', 'info'] };
  }
}

export function ecsExport({ host, version }: ExportSurroundings): EventExport {
  const common = { ecs: { version: ECS_VERSION }, observer: { vendor: 'HoneyMesh', product: 'HoneyMesh', type: 'ids', version, hostname: host } };

  function documentOf(row: EventRow): unknown {
    const source = row.source === null ? null : placeOf(row.source);
    return {
      '@timestamp': row.at,
      ...common,
      message: row.summary,
      event: {
        id: String(row.id),
        sequence: row.id,
        module: 'honeymesh',
        dataset: 'honeymesh.events',
        kind: ATTACKS.has(row.kind) ? 'alert' : 'event',
        action: row.kind,
        severity: severityOf(row),
        ...classesOf(row.kind),
        ...(row.kind === 'credentials' ? { outcome: 'failure' } : {}),
      },
      ...(source === null ? {} : { source: { address: source.text, ...(source.address ? { ip: source.text } : {}) } }),
      ...(source?.address === true ? { related: { ip: [source.text] } } : {}),
      ...(row.port === null ? {} : { destination: { port: row.port } }),
      ...networkOf(row, source?.family),
      ...threatOf(row.techniques),
      ...(row.reasons.length === 0 ? {} : { tags: row.reasons }),
      honeymesh: {
        tier: row.tier,
        origin: row.origin,
        ...(row.target === undefined ? {} : { target: row.target }),
        ...(row.wouldBan === undefined ? {} : { would_ban: row.wouldBan }),
        // One text: as fields of its own every detail of every trap would be a field of the index
        ...(row.detail === undefined ? {} : { detail: JSON.stringify(row.detail) }),
      },
    };
  }

  return {
    head: '',
    rows: page => page.map(row => `${safeJson(JSON.stringify(documentOf(row)))}\n`).join(''),
    proof: proof => `${safeJson(JSON.stringify(proofDocument(proof)))}\n`,
    foot: '',
  };

  function proofDocument(proof: ExportProof): unknown {
    return {
      '@timestamp': proof.exportedAt,
      ...common,
      message: `export of ${proof.events.count} events of the log whose head at event ${proof.log.lastId} is ${proof.log.head}`,
      event: { module: 'honeymesh', dataset: 'honeymesh.export', kind: 'event', action: 'export-proof', category: ['host'], type: ['info'] },
      honeymesh: { proof: JSON.stringify(proof) },
    };
  }
}

function networkOf({ protocol }: EventRow, family: 4 | 6 | undefined): object {
  if (protocol === null && family === undefined) return {};
  const transport = protocol === 'icmp' && family === 6 ? 'ipv6-icmp' : protocol;
  return { network: { ...(family === undefined ? {} : { type: `ipv${family}` }), ...(transport === null ? {} : { transport }) } };
}

/** ATT&CK: T1110.001 is a sub-technique of T1110. */
function threatOf(techniques: readonly string[]): object {
  if (techniques.length === 0) return {};
  const ids = [...new Set(techniques.map(id => id.split('.')[0] ?? id))];
  const below = techniques.filter(id => id.includes('.'));
  return { threat: { framework: 'MITRE ATT&CK', technique: { id: ids, ...(below.length === 0 ? {} : { subtechnique: { id: below } }) } } };
}
