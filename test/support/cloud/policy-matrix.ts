/**
 * What a host may do at the broker and what it may not, as rows that the evaluator, MiniStack and mosquitto are all held to. The host that tries is
 * `alpha`; `beta` is another, `alph` and `alphabet` have names that a careless pattern takes for alpha's.
 */
import { ADVISORY_TOPIC, answerTopic, DIGEST_TOPIC, heartbeatTopic, questionTopic, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';

export const SELF = 'alpha';
export const OTHER = 'beta';
export const OTHERS = [OTHER, 'alph', 'alphabet'] as const;

export const SAID = [reportTopic(SELF), heartbeatTopic(SELF), questionTopic(SELF)];
export const HEARD = [ADVISORY_TOPIC, DIGEST_TOPIC, receiptTopic(SELF), answerTopic(SELF)];

/** Topics that a host must not publish to. */
export const NEVER_SAID: readonly string[] = [
  ...OTHERS.flatMap(other => [reportTopic(other), heartbeatTopic(other), questionTopic(other), receiptTopic(other), answerTopic(other)]),
  // What the hub says: a forged advisory, receipt or answer, also to itself.
  ...HEARD,
  // The rule's prefix with another's topic behind it, another kind, more behind one's own.
  `$aws/rules/honeymesh_intel/honeymesh/v1/${SELF}/heartbeat`,
  `$aws/rules/honeymesh_heartbeat/honeymesh/v1/${SELF}/intel`,
  `$aws/rules/honeymesh_get/honeymesh/v1/${SELF}/get`,
  `${reportTopic(SELF)}/more`,
  `${reportTopic(SELF)}${OTHER}`,
  // The rule's topic without Basic Ingest: it would cost a message, and others could hear it.
  `honeymesh/v1/${SELF}/intel`,
  `honeymesh/v1/${OTHER}/intel`,
  `honeymesh/v1/${SELF}`,
  'honeymesh/v1',
  'honeymesh/v2/advisory',
  // IoT's own: shadows, jobs, presence.
  `$aws/things/${SELF}/shadow/update`,
  `$aws/things/${OTHER}/shadow/update`,
  `$aws/things/${OTHER}/jobs/1/update`,
  `$aws/events/presence/connected/${OTHER}`,
  '$aws/certificates/create-from-csr/json',
  '$aws/provisioning-templates/honeymesh/provision/json',
  'anything',
];

/** Filters that a host must not subscribe to. */
export const NEVER_HEARD: readonly string[] = [
  ...OTHERS.flatMap(other => [receiptTopic(other), answerTopic(other), questionTopic(other), `honeymesh/v1/${other}/intel`, `honeymesh/v1/${other}/#`]),
  '#',
  '+',
  '+/#',
  '+/+/+',
  'honeymesh/#',
  'honeymesh/v1/#',
  'honeymesh/v1/+',
  'honeymesh/v1/+/receipt',
  'honeymesh/v1/+/answer',
  'honeymesh/v1/+/get',
  'honeymesh/+/advisory',
  `honeymesh/v1/${SELF}/#`,
  `honeymesh/v1/${SELF}/+`,
  'honeymesh/v1/advisory/#',
  questionTopic(SELF),
  `honeymesh/v1/${SELF}/intel`,
  '$aws/#',
  `$aws/events/presence/connected/${OTHER}`,
  `$aws/things/${OTHER}/#`,
  `$share/group/honeymesh/v1/+/receipt`,
];

/** Topics of which nothing may reach a host, whatever it subscribed to. */
export const NEVER_RECEIVED: readonly string[] = OTHERS.flatMap(other => [receiptTopic(other), answerTopic(other), questionTopic(other)]);
