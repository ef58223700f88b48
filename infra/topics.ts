/** Who may say what on which topic: one list, from which the hosts' policy, the functions' rights and the tests' matrix are made. */
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, heartbeatTopic, questionTopic, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import type { FunctionName } from '../cloud/functions/functions.ts';

/** What the hub says to all. */
export const SHARED_TOPICS: readonly string[] = [ADVISORY_TOPIC, DIGEST_TOPIC];

/** What a host may say; `thing` is its name, or a variable or wildcard in its place. */
export const saidBy = (thing: string): readonly string[] => [reportTopic(thing), heartbeatTopic(thing), questionTopic(thing)];

/** What a host may subscribe to and receive. */
export const heardBy = (thing: string): readonly string[] => [...SHARED_TOPICS, receiptTopic(thing), answerTopic(thing)];

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
