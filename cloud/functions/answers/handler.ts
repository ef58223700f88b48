/** A host's question from its IoT rule; the answer goes to its own topic. */
import { randomUUID } from 'node:crypto';
import { readQuestion, writeMessage } from '@honeymesh/intel/hub-messages';
import { answerTopic } from '@honeymesh/intel/hub-topics';
import { createEd25519Verifier } from '../../hub/keys.ts';
import { awsObjects } from '../aws/objects.ts';
import { awsPublisher } from '../aws/publisher.ts';
import { awsRegistry } from '../aws/registry.ts';
import { awsSigner } from '../aws/signer.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now } from '../aws/time.ts';
import { countRefusals } from '../shared/refusals.ts';
import { readRuleEvent } from '../shared/rule-event.ts';
import { quarantineAfterOf, trustOf } from '../shared/settings.ts';
import { answer } from './answer.ts';

const telemetry = awsTelemetry('answers');
const { registered, deactivate } = awsRegistry();
const publish = awsPublisher();
const trust = trustOf(process.env);
const limit = quarantineAfterOf(process.env);
const deps = { ...awsStores(), objects: awsObjects(), registered, sign: awsSigner(), verifier: createEd25519Verifier(), now, randomName: randomUUID };

export const handler = async (event: unknown): Promise<void> => {
  try {
    const heard = readRuleEvent(event, 'get', now());
    const question = heard.ok ? readQuestion(heard.value.payload) : heard;
    if (!question.ok) telemetry.count('Refused', new Map([[question.why, 1]]));
    if (heard.ok && !question.ok) await countRefusals(heard.value, 1, limit, { ...deps, deactivate });
    if (!heard.ok || !question.ok) return;
    const given = await answer(heard.value.thing, question.value, trust, deps);
    telemetry.count('Answers', new Map([[given.kind === 'refused' ? given.why : given.kind, 1]]));
    await publish(answerTopic(heard.value.thing), writeMessage(given));
  } finally {
    telemetry.flush();
  }
};
