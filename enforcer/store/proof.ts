/** Compares the proof of an export with the log that it names, and with the file that it came with. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { HoneyMeshError } from '../errors.ts';
import { openForReading } from './reading.ts';
import { LOG_FILE } from './schema.ts';
import { chainAt } from './segments.ts';

const LONGEST_PROOF_BYTES = 64 * 1024;

const id = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const proofSchema = z.object({
  honeymesh: z.literal('export-proof'),
  version: z.literal(1),
  format: z.string().max(32),
  exportedAt: z.string().max(64),
  log: z.object({ head: hash, lastId: id, firstId: id }),
  events: z.object({ count: id, firstId: id.nullable(), lastId: id.nullable() }),
  bytes: id,
  sha256: hash,
});
type ReadProof = z.output<typeof proofSchema>;

export interface ProofFinding {
  /** Whether the log holds the history that the export was made from; null: that event is gone by retention, it cannot be told. */
  readonly log: boolean | null;
  /** Whether the file is the one that was exported; null: there is none to compare. */
  readonly file: boolean | null;
  readonly why: string;
}

/** `file` is what was exported. Throws HoneyMeshError where the proof, the log or the file cannot be read. */
export async function checkProof(directory: string, proofPath: string, file: string | null): Promise<ProofFinding> {
  const proof = readProof(proofPath);
  const found = chainIn(directory, proof.log.lastId);
  const log = found === null ? null : found === proof.log.head;
  const same = file === null ? null : await isTheFile(file, proof);
  const why = [
    log === null
      ? `event ${proof.log.lastId} is not in the log (any more): what the proof says of it cannot be compared`
      : log
        ? `the log is the one that was exported, up to event ${proof.log.lastId}`
        : `event ${proof.log.lastId} of the log is not the one that was exported: the log was rewritten, or is another one`,
    ...(same === null ? [] : [same ? 'the file is what was exported' : 'the file is not what was exported']),
  ].join('; ');
  return { log, file: same, why };
}

function readProof(path: string): ReadProof {
  const refuse = (why: string): never => {
    throw new HoneyMeshError('HM_USAGE', `${path}: ${why}`, { fix: 'name the .proof.json that "honeymesh events export" wrote' });
  };
  let value: unknown;
  try {
    if (statSync(path).size > LONGEST_PROOF_BYTES) return refuse('is too large for a proof');
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof HoneyMeshError) throw error;
    return refuse(error instanceof SyntaxError ? 'is not JSON' : `cannot be read: ${(error as Error).message}`);
  }
  const read = proofSchema.safeParse(value);
  return read.success ? read.data : refuse('is no proof of an export');
}

function chainIn(directory: string, lastId: number): string | null {
  if (!existsSync(join(directory, LOG_FILE))) return null;
  const log = openForReading(directory);
  try {
    return chainAt(log.db, lastId);
  } finally {
    log.close();
  }
}

/** The proof covers the first `bytes` bytes: all of the file. */
async function isTheFile(path: string, { bytes, sha256 }: ReadProof): Promise<boolean> {
  if (statSync(path).size !== bytes) return false;
  const sha = createHash('sha256');
  for await (const piece of createReadStream(path)) sha.update(piece as Buffer);
  return sha.digest('hex') === sha256;
}
