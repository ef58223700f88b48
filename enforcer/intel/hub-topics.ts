/** Where the hub and its hosts speak. A host's name is its thing, its client id and the third level of its topics; at most 7 slashes, 256 bytes. */

export const HUB_TOPIC_ROOT = 'honeymesh/v1';
/** What cannot wait: a first E2, a quorum just reached, any withdrawal. */
export const ADVISORY_TOPIC = `${HUB_TOPIC_ROOT}/advisory`;
/** All else, once a minute; carries the head also when there is nothing else. */
export const DIGEST_TOPIC = `${HUB_TOPIC_ROOT}/advisory/digest`;

/** The IoT rules that take what hosts say straight from the broker (Basic Ingest: no messaging charge). */
export const HUB_RULES = { intel: 'honeymesh_intel', heartbeat: 'honeymesh_heartbeat' } as const;

/** What a host publishes to. The rule sees `intel` and `heartbeat` without the part that names it. */
export const reportTopic = (thing: string): string => `$aws/rules/${HUB_RULES.intel}/${HUB_TOPIC_ROOT}/${thing}/intel`;
export const heartbeatTopic = (thing: string): string => `$aws/rules/${HUB_RULES.heartbeat}/${HUB_TOPIC_ROOT}/${thing}/heartbeat`;
export const questionTopic = (thing: string): string => `${HUB_TOPIC_ROOT}/${thing}/get`;

/** What a host subscribes to, besides ADVISORY_TOPIC and DIGEST_TOPIC. */
export const receiptTopic = (thing: string): string => `${HUB_TOPIC_ROOT}/${thing}/receipt`;
export const answerTopic = (thing: string): string => `${HUB_TOPIC_ROOT}/${thing}/answer`;

export type HostTopic = 'intel' | 'heartbeat' | 'get';

/** The host whose topic of this kind it is, as a rule saw it; null: it is none. */
export function thingOfTopic(topic: string, kind: HostTopic): string | null {
  const levels = topic.split('/');
  const [first, second, thing] = levels;
  if (levels.length !== 4 || `${first}/${second}` !== HUB_TOPIC_ROOT || levels[3] !== kind) return null;
  return thing === undefined || thing === '' ? null : thing;
}
