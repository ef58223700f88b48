/** An export as bytes that are made as they are read: page by page, so that a log of any length takes the memory of one page. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import { maskRow } from '../../control/masking.ts';
import type { EventRow } from '../../control/operations.ts';
import { VERSION } from '../../version.ts';
import { createExport, type ExportFormat, toEventRow } from '../exports.ts';
import type { EventQuery, LogTip, Store } from '../port.ts';
import type { ExportProof } from './form.ts';

/** Rows of a page: a full one with the longest details is some 16 MB, a usual one 300 kB. */
const PAGE = 1_000;

export interface ExportOptions {
  readonly format: ExportFormat;
  /** Who exports: some formats name it. */
  readonly host: string;
  /** Guessed passwords as length and hash. */
  readonly mask?: boolean;
  /** What was asked, as the proof is to tell it. */
  readonly filters?: Readonly<Record<string, unknown>>;
}

export interface ExportSource {
  tip(): Promise<LogTip>;
  /** The oldest `limit` matching rows after and before these ids. */
  page(ids: { readonly afterId: number; readonly beforeId: number; readonly limit: number }): Promise<readonly EventRow[]>;
  readonly now: () => UnixMs;
}

export interface ExportStream {
  /** Bytes, each piece made when it is asked for. To be read once. */
  readonly bytes: AsyncIterable<Buffer>;
  /** For HTTP and pipes. Destroying it ends the export. */
  readable(): Readable;
  /** Of the whole export; there once the last piece was read. */
  proof(): ExportProof | null;
}

/** Begins nothing until the first piece is asked for. Holds what the log held then: what comes meanwhile is not in it. */
export function exportStream({ format, host, mask = false, filters = {} }: ExportOptions, { tip, page, now }: ExportSource): ExportStream {
  let whole: ExportProof | null = null;

  async function* pieces(): AsyncGenerator<Buffer> {
    const log = await tip();
    const at = now();
    const form = createExport(format, { host, version: VERSION, nowMs: at });
    const sha = createHash('sha256');
    let bytes = 0;
    let [count, firstId, lastId] = [0, null as number | null, null as number | null];
    const piece = (text: string): Buffer => {
      const encoded = Buffer.from(text);
      sha.update(encoded);
      bytes += encoded.length;
      return encoded;
    };
    const proof = (): ExportProof => ({
      honeymesh: 'export-proof',
      version: 1,
      host,
      format,
      exportedAt: rfc3339(at),
      log,
      filters,
      masked: mask,
      events: { count, firstId, lastId },
      bytes,
      sha256: sha.copy().digest('hex'),
    });

    yield piece(form.head);
    for (let afterId = 0; ; ) {
      const rows = await page({ afterId, beforeId: log.lastId + 1, limit: PAGE });
      const last = rows.at(-1);
      if (last === undefined) break;
      count += rows.length;
      firstId ??= rows[0]?.id ?? null;
      lastId = afterId = last.id;
      const text = form.rows(mask ? rows.map(maskRow) : rows);
      if (text !== '') yield piece(text);
      if (rows.length < PAGE) break;
    }
    const own = form.proof(proof());
    if (own !== '') yield piece(own);
    if (form.foot !== '') yield piece(form.foot);
    whole = proof();
  }

  const bytes = pieces();
  return {
    bytes,
    readable: () => Readable.from(bytes, { objectMode: false, highWaterMark: 256 * 1024 }),
    proof: () => whole,
  };
}

/** All of a store that matches. Of the query, what orders and bounds pages is the export's own. */
export function exportOfStore(
  options: ExportOptions,
  query: EventQuery,
  { store, now }: { readonly store: Pick<Store, 'query' | 'tip'>; readonly now: () => UnixMs },
): ExportStream {
  const from = query.afterId ?? 0;
  const to = query.beforeId ?? Number.POSITIVE_INFINITY;
  return exportStream(options, {
    tip: () => store.tip(),
    async page({ afterId, beforeId, limit }) {
      const events = await store.query({ ...query, afterId: Math.max(from, afterId), beforeId: Math.min(to, beforeId), limit, ascending: true });
      return events.map(toEventRow);
    },
    now,
  });
}
