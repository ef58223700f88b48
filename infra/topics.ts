/** Who may say what on which topic: one list, from which the hosts' policy, the functions' rights and the tests' matrix are made. */
import { FUNCTIONS, type FunctionName, type FunctionSpec } from '../cloud/functions/functions.ts';

const ROOT_TOPIC = 'honeymesh/v1';

/** What the hub says to all. */
export const SHARED_TOPICS = [`${ROOT_TOPIC}/advisory`, `${ROOT_TOPIC}/digest`] as const;

/** What the hub says to one host: `thing` is its name, or a wildcard of IAM's. */
export const answerTopics = (thing: string): readonly string[] => [receiptTopic(thing), answerTopic(thing)];
const receiptTopic = (thing: string): string => `${ROOT_TOPIC}/${thing}/receipt`;
const answerTopic = (thing: string): string => `${ROOT_TOPIC}/${thing}/answer`;

/** Rules that a host triggers by a topic with its name in it. */
export const hostRules: readonly { readonly rule: string; readonly from: string }[] = (Object.values(FUNCTIONS) as readonly FunctionSpec[])
  .flatMap(({ sources }) => sources)
  .flatMap(source => (source.kind === 'iot-rule' && source.from.startsWith(`${ROOT_TOPIC}/+/`) ? [source] : []));

/** What a host may say: through Basic Ingest only, which no other host can hear and which costs no message. */
export const saidBy = (thing: string): readonly string[] => hostRules.map(({ rule, from }) => `$aws/rules/${rule}/${from.replace('+', thing)}`);

/** What a host may subscribe to and receive. */
export const heardBy = (thing: string): readonly string[] => [...SHARED_TOPICS, ...answerTopics(thing)];

/** What a function that has the right `publish` may publish to. */
export function publishedBy(name: FunctionName): readonly string[] {
  switch (name) {
    case 'fan-out':
    case 'digest':
      return SHARED_TOPICS;
    case 'receipts':
      return [receiptTopic('*')];
    case 'answers':
      return [answerTopic('*')];
    default:
      return [];
  }
}
