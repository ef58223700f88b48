/**
 * The hub's tables: on demand, encrypted, point-in-time recovery. One list, which the CDK app creates from and the adapter reads by. Whatever has a TTL
 * attribute is filtered on read as well: DynamoDB deletes up to two days late.
 */

export type KeyType = 'S' | 'N';

export interface TableSpec {
  readonly partition: { readonly name: string; readonly type: KeyType };
  readonly sort?: { readonly name: string; readonly type: KeyType };
  /** Attribute with the Unix time in seconds after which DynamoDB may remove the item. */
  readonly ttl?: string;
  readonly stream?: 'NEW_IMAGE';
  /** Environment variable of the functions that names the deployed table. */
  readonly environment: string;
}

export const TABLES = {
  /** Envelopes as they were signed, one item each by (kid, epoch, seq). Its stream is the outbox: an insert is what the fan-out works on. */
  envelopes: {
    partition: { name: 'kid', type: 'S' },
    sort: { name: 'id', type: 'S' },
    ttl: 'ttl',
    stream: 'NEW_IMAGE',
    environment: 'HONEYMESH_TABLE_ENVELOPES',
  },
  /** What one host signed within five minutes and was taken or refused; versioned, so that concurrent deliveries keep the rate. Its stream makes receipts. */
  paces: {
    partition: { name: 'thing', type: 'S' },
    sort: { name: 'span', type: 'S' },
    ttl: 'ttl',
    stream: 'NEW_IMAGE',
    environment: 'HONEYMESH_TABLE_PACES',
  },
  /** Facets of a host: identity, heartbeat, presence, refusals of a minute, questions. Facets have different writers. */
  peers: {
    partition: { name: 'thing', type: 'S' },
    sort: { name: 'facet', type: 'S' },
    ttl: 'ttl',
    environment: 'HONEYMESH_TABLE_PEERS',
  },
  /** Who advises against a target: a row for each peer, so that a hot address is no hot item. */
  sightings: {
    partition: { name: 'target', type: 'S' },
    sort: { name: 'by', type: 'S' },
    ttl: 'ttl',
    environment: 'HONEYMESH_TABLE_SIGHTINGS',
  },
  /** The head, numbered advisories, which batch became which number, and what waits for the digest. */
  advisories: {
    partition: { name: 'series', type: 'S' },
    sort: { name: 'id', type: 'S' },
    ttl: 'ttl',
    environment: 'HONEYMESH_TABLE_ADVISORIES',
  },
  /** Enrolment codes by the hash of the code: site, uses left, end. */
  codes: {
    partition: { name: 'code', type: 'S' },
    ttl: 'ttl',
    environment: 'HONEYMESH_TABLE_CODES',
  },
} as const satisfies Readonly<Record<string, TableSpec>>;

export type TableName = keyof typeof TABLES;
