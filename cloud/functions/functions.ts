/**
 * The hub's functions in one list: the CDK app builds them from it (arm64, nodejs24, each entry bundled by esbuild with its part of the SDK), the test
 * of bundle sizes reads it. No variable holds a secret: keys and ranges here are public, rights come from each function's role.
 */
import type { TableName } from '../store/tables.ts';

/** Settings of a deployment; the deploying side gives each a value. Tables have variables of their own, see `tables`. */
export const SETTINGS = {
  /** The mesh cluster's id, 32 hex digits. */
  HONEYMESH_CLUSTER: { needed: true, default: null },
  /** The offline root's Ed25519 public key, 64 hex digits. */
  HONEYMESH_ROOT: { needed: true, default: null },
  /** Prefixes of the fleet's own, comma-separated: advice against them is refused. */
  HONEYMESH_FLEET_RANGES: { needed: false, default: '' },
  /** Prefixes that no advice may touch, comma-separated; `default`: special-use ranges and all that is not public. Tests on documentation ranges override it. */
  HONEYMESH_NEVER_ADVISED: { needed: false, default: 'default' },
  /** Distinct sites that make an address's second sighting urgent. */
  HONEYMESH_QUORUM_SITES: { needed: false, default: '2' },
  /** Refusals of one host in a minute beyond which its certificate is set INACTIVE. */
  HONEYMESH_QUARANTINE_AFTER: { needed: false, default: '1200' },
  /** Deliveries a second (urgent publishes times subscribers) that the hub may cause; beyond it what is urgent joins the digest. */
  HONEYMESH_DELIVERIES_PER_SECOND: { needed: false, default: '10000' },
  /** KMS key (ECC_NIST_P256, SIGN_VERIFY) that signs advisories: id or ARN. */
  HONEYMESH_SIGNING_KEY: { needed: true, default: null },
  /** Bucket for what is too long for a message; keys `answers/` (lifecycle: 1 day) and `uploads/` (1 day). */
  HONEYMESH_BUCKET: { needed: true, default: null },
} as const;

export type Setting = keyof typeof SETTINGS;

/** What an IoT rule hands over is always `{payload, client, topic, at, principal}`; see RULE_SELECT. */
export type EventSource =
  | { readonly kind: 'iot-rule'; readonly rule: string; readonly from: string; readonly where: string }
  | {
      readonly kind: 'stream';
      readonly table: TableName;
      readonly eventNames: readonly ('INSERT' | 'MODIFY')[];
      readonly batch: number;
      readonly windowSeconds: number;
    }
  | { readonly kind: 'schedule'; readonly everySeconds: number }
  | { readonly kind: 'bucket'; readonly prefix: string }
  | { readonly kind: 'provisioning-hook' };

export type Right = 'sign' | 'publish' | 'describe-thing' | 'deactivate-certificate' | 'write-answers' | 'read-uploads' | 'offer-uploads';

export interface FunctionSpec {
  /** From the checkout's root; exports `handler`. */
  readonly entry: string;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  /** Ingest and heartbeat have concurrency of their own: neither starves the other. */
  readonly reservedConcurrency?: number;
  readonly sources: readonly EventSource[];
  readonly tables: Readonly<Partial<Record<TableName, 'read' | 'write'>>>;
  readonly settings: readonly Setting[];
  readonly rights: readonly Right[];
}

/** The same for every rule: the payload stays bytes, so that no field of a host's can pass for one of the broker's. */
export const RULE_SELECT = "SELECT encode(*, 'base64') AS payload, clientid() AS client, topic() AS topic, timestamp() AS at, principal() AS principal";
/** A host speaks for itself only. Checked again in code. */
export const RULE_WHERE = 'clientid() = topic(3)';

export const FUNCTIONS = {
  ingest: {
    entry: 'cloud/functions/ingest/handler.ts',
    memoryMb: 256,
    timeoutSeconds: 15,
    reservedConcurrency: 20,
    sources: [{ kind: 'iot-rule', rule: 'honeymesh_intel', from: 'honeymesh/v1/+/intel', where: RULE_WHERE }],
    tables: { peers: 'write', paces: 'write', envelopes: 'write', advisories: 'write' },
    settings: ['HONEYMESH_CLUSTER', 'HONEYMESH_ROOT', 'HONEYMESH_FLEET_RANGES', 'HONEYMESH_NEVER_ADVISED', 'HONEYMESH_QUARANTINE_AFTER'],
    rights: ['deactivate-certificate'],
  },
  uploads: {
    entry: 'cloud/functions/uploads/handler.ts',
    memoryMb: 512,
    timeoutSeconds: 120,
    reservedConcurrency: 2,
    sources: [{ kind: 'bucket', prefix: 'uploads/' }],
    tables: { peers: 'write', paces: 'write', envelopes: 'write', advisories: 'write' },
    settings: ['HONEYMESH_CLUSTER', 'HONEYMESH_ROOT', 'HONEYMESH_FLEET_RANGES', 'HONEYMESH_NEVER_ADVISED', 'HONEYMESH_BUCKET'],
    rights: ['read-uploads'],
  },
  'fan-out': {
    entry: 'cloud/functions/fan-out/handler.ts',
    memoryMb: 512,
    timeoutSeconds: 30,
    sources: [{ kind: 'stream', table: 'envelopes', eventNames: ['INSERT'], batch: 50, windowSeconds: 1 }],
    tables: { envelopes: 'read', peers: 'read', sightings: 'write', advisories: 'write' },
    settings: ['HONEYMESH_CLUSTER', 'HONEYMESH_QUORUM_SITES', 'HONEYMESH_DELIVERIES_PER_SECOND', 'HONEYMESH_SIGNING_KEY'],
    rights: ['sign', 'publish'],
  },
  digest: {
    entry: 'cloud/functions/digest/handler.ts',
    memoryMb: 512,
    timeoutSeconds: 50,
    reservedConcurrency: 1,
    sources: [{ kind: 'schedule', everySeconds: 60 }],
    tables: { envelopes: 'read', peers: 'read', sightings: 'write', advisories: 'write' },
    settings: ['HONEYMESH_CLUSTER', 'HONEYMESH_QUORUM_SITES', 'HONEYMESH_DELIVERIES_PER_SECOND', 'HONEYMESH_SIGNING_KEY'],
    rights: ['sign', 'publish'],
  },
  answers: {
    entry: 'cloud/functions/answers/handler.ts',
    memoryMb: 512,
    timeoutSeconds: 30,
    reservedConcurrency: 10,
    sources: [{ kind: 'iot-rule', rule: 'honeymesh_get', from: 'honeymesh/v1/+/get', where: RULE_WHERE }],
    tables: { peers: 'write', advisories: 'read', envelopes: 'read' },
    settings: ['HONEYMESH_CLUSTER', 'HONEYMESH_ROOT', 'HONEYMESH_SIGNING_KEY', 'HONEYMESH_BUCKET', 'HONEYMESH_QUARANTINE_AFTER'],
    rights: ['sign', 'publish', 'describe-thing', 'write-answers', 'offer-uploads', 'deactivate-certificate'],
  },
  receipts: {
    entry: 'cloud/functions/receipts/handler.ts',
    memoryMb: 256,
    timeoutSeconds: 15,
    sources: [{ kind: 'stream', table: 'paces', eventNames: ['INSERT', 'MODIFY'], batch: 100, windowSeconds: 1 }],
    tables: { peers: 'write' },
    settings: [],
    rights: ['publish'],
  },
  heartbeat: {
    entry: 'cloud/functions/heartbeat/handler.ts',
    memoryMb: 256,
    timeoutSeconds: 10,
    reservedConcurrency: 5,
    sources: [{ kind: 'iot-rule', rule: 'honeymesh_heartbeat', from: 'honeymesh/v1/+/heartbeat', where: RULE_WHERE }],
    tables: { peers: 'write' },
    settings: ['HONEYMESH_QUARANTINE_AFTER'],
    rights: ['deactivate-certificate'],
  },
  lifecycle: {
    entry: 'cloud/functions/lifecycle/handler.ts',
    memoryMb: 256,
    timeoutSeconds: 10,
    reservedConcurrency: 2,
    sources: [
      // The event names its client itself; a host cannot publish to $aws/events.
      { kind: 'iot-rule', rule: 'honeymesh_connected', from: '$aws/events/presence/connected/+', where: '' },
      { kind: 'iot-rule', rule: 'honeymesh_disconnected', from: '$aws/events/presence/disconnected/+', where: '' },
    ],
    tables: { peers: 'write' },
    settings: [],
    rights: [],
  },
  'provisioning-hook': {
    entry: 'cloud/functions/provisioning-hook/handler.ts',
    memoryMb: 256,
    timeoutSeconds: 5, // the most that IoT waits
    reservedConcurrency: 2,
    sources: [{ kind: 'provisioning-hook' }],
    tables: { codes: 'write' },
    settings: [],
    rights: ['describe-thing'],
  },
} as const satisfies Readonly<Record<string, FunctionSpec>>;

export type FunctionName = keyof typeof FUNCTIONS;
