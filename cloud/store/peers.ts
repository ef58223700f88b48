/** Facets of a host, each an item of its own with one writer: identity, epochs, heartbeat, presence, questions, refusals of a minute, settled numbers. */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { KeyId } from '@honeymesh/intel/envelope';
import { type Heartbeat, readHeartbeat, writeHeartbeat } from '@honeymesh/intel/hub-messages';
import { DAY_MS, MINUTE_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { type Epochs, noEpochs } from '../hub/epochs.ts';
import { HEARTBEAT_EVERY_MS, type HostState, type Presence } from '../hub/fleet.ts';
import type { Identity } from '../hub/identity.ts';
import { minuteOf } from '../hub/quarantine.ts';
import type { Range } from '../hub/receipts.ts';
import { bytesOf, numberOf, textOf } from './fields.ts';
import type { Item, Key, Tables, Write } from './port.ts';

/** With `version`, by which a later writer finds that it was overtaken. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: number;
}

export interface Peers {
  identity(thing: string): Promise<Identity | null>;
  identities(things: readonly string[]): Promise<readonly Identity[]>;
  keepIdentity(identity: Identity): Promise<void>;
  /** Who it is and its epochs: what each report needs, in one request. */
  speaker(thing: string): Promise<{ readonly identity: Identity | null; readonly epochs: Versioned<Epochs> }>;
  /** For a transaction. */
  epochsWrite(thing: string, epochs: Versioned<Epochs>): Write;
  /** False: another one came less than a minute ago. */
  keepHeartbeat(thing: string, said: Heartbeat, receivedAt: number): Promise<boolean>;
  /** False: a later event is known. */
  keepPresence(presence: Presence): Promise<boolean>;
  /** Whether it may ask now. */
  mayAsk(thing: string, limits: BucketLimits, now: number): Promise<boolean>;
  /** The count of this minute after these. */
  countRefusals(thing: string, refusals: number, now: number): Promise<number>;
  /** The count of this minute's late envelopes before these. */
  countLate(thing: string, late: number, now: number): Promise<number>;
  /** Quarantined until an operator lifts it. */
  quarantine(thing: string, certificate: string, now: number): Promise<void>;
  /** It could connect again, so an operator has set its certificate active. */
  liftQuarantine(thing: string): Promise<void>;
  settled(thing: string, epoch: number): Promise<Versioned<readonly Range[]>>;
  /** False: overtaken. */
  keepSettled(thing: string, epoch: number, settled: Versioned<readonly Range[]>, now: number): Promise<boolean>;
  hosts(most: number): Promise<readonly HostState[]>;
}

const PRESENCE_LIFE_MS = DAY_MS;
const SETTLED_LIFE_MS = 2 * DAY_MS;
const EPOCHS_LIFE_MS = 90 * DAY_MS;
/** Facets of a host that a scan meets, about. */
const FACETS = 8;

export function createPeers(tables: Tables): Peers {
  const key = (thing: string, facet: string): Key => ({ thing, facet });
  const get = (thing: string, facet: string): Promise<Item | undefined> => tables.get('peers', key(thing, facet));
  const settledFacet = (epoch: number): string => `settled#${epoch}`;

  return {
    async identity(thing) {
      const item = await get(thing, 'identity');
      return item === undefined ? null : identityOf(item);
    },
    async identities(things) {
      const items = await tables.getMany(
        'peers',
        [...new Set(things)].map(thing => key(thing, 'identity')),
      );
      return items.map(identityOf);
    },
    async keepIdentity(identity) {
      const { thing, kid, site, edPublic, notAfter, votesFrom, certificate, registrar } = identity;
      await tables.put('peers', { ...key(thing, 'identity'), kid, site, edPublic, notAfter, votesFrom, certificate, registrar, expiresAt: notAfter });
    },
    async speaker(thing) {
      const items = await tables.getMany('peers', [key(thing, 'identity'), key(thing, 'epochs')]);
      const [identity, epochs] = ['identity', 'epochs'].map(facet => items.find(item => item.facet === facet));
      return {
        identity: identity === undefined ? null : identityOf(identity),
        epochs: epochs === undefined ? { value: noEpochs, version: 0 } : { value: epochsOf(epochs), version: numberOf(epochs, 'version') },
      };
    },
    epochsWrite(thing, { value, version }) {
      const { known, floor, bucket } = value;
      const expiresAt = bucket.atMs + EPOCHS_LIFE_MS;
      return {
        kind: 'put',
        table: 'peers',
        item: { ...key(thing, 'epochs'), known: known.map(String), floor, level: bucket.level, at: bucket.atMs, version: version + 1, expiresAt },
        if: version === 0 ? [{ is: 'absent' }] : [{ is: 'equal', attribute: 'version', value: version }],
      };
    },
    keepHeartbeat: (thing, said, receivedAt) =>
      tables.put('peers', { ...key(thing, 'heartbeat'), receivedAt, said: writeHeartbeat(said), expiresAt: receivedAt + DAY_MS }, [
        { is: 'absent-or-less', attribute: 'receivedAt', value: receivedAt - HEARTBEAT_EVERY_MS },
      ]),
    keepPresence({ thing, connected, at }) {
      // In the order of events, and of one moment the end last: see `isNewer`.
      const order = 2 * at + (connected ? 0 : 1);
      const item = { ...key(thing, 'presence'), connected, at, order, expiresAt: at + PRESENCE_LIFE_MS };
      return tables.put('peers', item, [{ is: 'absent-or-less', attribute: 'order', value: order }]);
    },
    async mayAsk(thing, limits, now) {
      for (let tries = 0; tries < 3; tries++) {
        const item = await get(thing, 'questions');
        const bucket: Bucket = item === undefined ? emptyBucket : { level: numberOf(item, 'level'), atMs: numberOf(item, 'at') };
        const poured = pour(bucket, limits, now);
        if (!poured.admitted) return false;
        const version = item === undefined ? 0 : numberOf(item, 'version');
        const next = { ...key(thing, 'questions'), level: poured.bucket.level, at: poured.bucket.atMs, version: version + 1, expiresAt: now + DAY_MS };
        if (await tables.put('peers', next, version === 0 ? [{ is: 'absent' }] : [{ is: 'equal', attribute: 'version', value: version }])) return true;
      }
      return false;
    },
    countRefusals: (thing, refusals, now) => tables.add('peers', key(thing, `refusals#${minuteOf(now)}`), 'count', refusals, now + 10 * MINUTE_MS),
    countLate: async (thing, late, now) => (await tables.add('peers', key(thing, `late#${minuteOf(now)}`), 'count', late, now + 10 * MINUTE_MS)) - late,
    async quarantine(thing, certificate, now) {
      await tables.put('peers', { ...key(thing, 'quarantine'), certificate, since: now });
    },
    liftQuarantine: thing => tables.deleteMany('peers', [key(thing, 'quarantine')]),
    async settled(thing, epoch) {
      const item = await get(thing, settledFacet(epoch));
      return item === undefined ? { value: [], version: 0 } : { value: rangesOf(item), version: numberOf(item, 'version') };
    },
    keepSettled(thing, epoch, { value, version }, now) {
      const ranges = value.map(([from, to]) => `${from}-${to}`);
      const item = { ...key(thing, settledFacet(epoch)), ranges, version: version + 1, expiresAt: now + SETTLED_LIFE_MS };
      return tables.put('peers', item, version === 0 ? [{ is: 'absent' }] : [{ is: 'equal', attribute: 'version', value: version }]);
    },
    async hosts(most) {
      const byThing = new Map<string, Item[]>();
      for (const item of await tables.scan('peers', most * FACETS)) {
        const thing = textOf(item, 'thing');
        byThing.set(thing, [...(byThing.get(thing) ?? []), item]);
      }
      return [...byThing].map(([thing, facets]) => hostOf(thing, facets));
    },
  };
}

const identityOf = (item: Item): Identity => ({
  thing: textOf(item, 'thing'),
  kid: textOf(item, 'kid') as KeyId,
  site: textOf(item, 'site'),
  edPublic: bytesOf(item, 'edPublic'),
  notAfter: unixMs(numberOf(item, 'notAfter')) as UnixMs,
  votesFrom: unixMs(numberOf(item, 'votesFrom')),
  certificate: bytesOf(item, 'certificate'),
  registrar: bytesOf(item, 'registrar'),
});

function epochsOf(item: Item): Epochs {
  const known = Array.isArray(item.known) ? item.known.map(Number) : [];
  return { known, floor: numberOf(item, 'floor'), bucket: { level: numberOf(item, 'level'), atMs: numberOf(item, 'at') } };
}

const rangesOf = (item: Item): readonly Range[] =>
  (Array.isArray(item.ranges) ? item.ranges : []).map(text => {
    const [from, to] = String(text).split('-').map(Number);
    return [from ?? 0, to ?? 0];
  });

function hostOf(thing: string, facets: readonly Item[]): HostState {
  const facet = (name: string): Item | undefined => facets.find(item => item.facet === name);
  const heartbeat = facet('heartbeat');
  const said = heartbeat === undefined ? undefined : readHeartbeat(bytesOf(heartbeat, 'said'));
  const presence = facet('presence');
  const identity = facet('identity');
  return {
    thing,
    site: identity === undefined ? null : textOf(identity, 'site'),
    quarantined: facet('quarantine') !== undefined,
    heartbeat: heartbeat !== undefined && said?.ok === true ? { receivedAt: numberOf(heartbeat, 'receivedAt'), said: said.value } : null,
    presence: presence === undefined ? null : { thing, connected: presence.connected === true, at: numberOf(presence, 'at') },
  };
}
