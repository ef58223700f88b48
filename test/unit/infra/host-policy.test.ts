/** The policy of the synthesised template, judged by our own evaluator: the same rows as MiniStack and mosquitto are held to in test/cloud. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LONGEST_POLICY } from '#infra/host-policy.ts';
import { resolved, type Synthesised, synthesise } from '#test/support/cloud/hub-template.ts';
import { type Action, type Policy, permits, type Session } from '#test/support/cloud/iot-policy.ts';
import { HEARD, NEVER_HEARD, NEVER_RECEIVED, NEVER_SAID, OTHERS, SAID, SELF } from '#test/support/cloud/policy-matrix.ts';

let synthesised: Synthesised;
let policy: Policy;
let claim: Policy;

beforeAll(() => {
  synthesised = synthesise();
  const policies = Object.values(synthesised.template.findResources('AWS::IoT::Policy'));
  const named = (name: string): Policy => resolved(policies.find(({ Properties }) => Properties.PolicyName === name)?.Properties.PolicyDocument);
  policy = named('honeymesh-host');
  claim = named('honeymesh-claim');
}, 60_000);
afterAll(() => synthesised[Symbol.dispose]());

const variable = (name: string): string => `$\{${name}}`;
const self: Session = { clientId: SELF, things: [SELF] };
const may = (action: Action, resource: string, session = self): boolean => permits(policy, session, action, resource);

describe('a host', () => {
  test('connects as itself, says what is its own and hears what is for it', () => {
    expect(may('iot:Connect', `client/${SELF}`)).toBe(true);
    for (const topic of SAID) expect(may('iot:Publish', `topic/${topic}`), topic).toBe(true);
    for (const topic of HEARD) {
      expect(may('iot:Subscribe', `topicfilter/${topic}`), topic).toBe(true);
      expect(may('iot:Receive', `topic/${topic}`), topic).toBe(true);
    }
  });

  test.each(OTHERS)('does not connect as %s, neither with its own certificate nor with one that is attached to nothing', other => {
    expect(may('iot:Connect', `client/${other}`)).toBe(false);
    expect(may('iot:Connect', `client/${other}`, { clientId: other, things: [SELF] })).toBe(false);
    expect(may('iot:Connect', `client/${SELF}`, { clientId: SELF, things: [] })).toBe(false);
  });

  test.each(NEVER_SAID)('does not publish to %s', topic => {
    expect(may('iot:Publish', `topic/${topic}`)).toBe(false);
  });

  test('leaves nothing retained, not even on its own topics', () => {
    for (const topic of [...SAID, ...HEARD, ...NEVER_SAID]) expect(may('iot:RetainPublish', `topic/${topic}`), topic).toBe(false);
  });

  test.each(NEVER_HEARD)('does not subscribe to %s', filter => {
    expect(may('iot:Subscribe', `topicfilter/${filter}`)).toBe(false);
  });

  test.each(NEVER_RECEIVED)('receives nothing from %s', topic => {
    expect(may('iot:Receive', `topic/${topic}`)).toBe(false);
  });

  test('whose certificate is attached to another thing too is that thing only under its name', () => {
    const both: Session = { clientId: SELF, things: [SELF, OTHERS[0]] };
    expect(may('iot:Publish', `topic/honeymesh/v1/${OTHERS[0]}/get`, both)).toBe(false);
  });

  test('whose client id is no thing may do nothing', () => {
    const nobody: Session = { clientId: 'nobody', things: [SELF] };
    for (const topic of [...SAID, ...HEARD]) {
      expect(may('iot:Publish', `topic/${topic}`, nobody), topic).toBe(false);
    }
  });
});

test('the policies are within what AWS takes', () => {
  for (const each of [policy, claim]) expect(JSON.stringify(each).replace(/\s/g, '').length).toBeLessThanOrEqual(LONGEST_POLICY);
});

test('each resource of the host policy that is not for all carries the name of the thing', () => {
  const resources = policy.Statement.flatMap(({ Resource }) => Resource).map(arn => arn.slice('arn:aws:iot:us-east-1:000000000000:'.length));
  const shared = resources.filter(resource => !resource.includes(variable('iot:Connection.Thing.ThingName')));
  expect(shared.sort()).toEqual([
    'topic/honeymesh/v1/advisory',
    'topic/honeymesh/v1/advisory/digest',
    'topicfilter/honeymesh/v1/advisory',
    'topicfilter/honeymesh/v1/advisory/digest',
  ]);
  expect(resources.filter(resource => /[*?]/.test(resource.replaceAll(/\$\{[^}]*\}/g, '')))).toEqual([]);
});

describe('a claim certificate', () => {
  const session: Session = { clientId: 'claim~1', things: [] };

  test('gets a certificate for a request and a membership for it', () => {
    expect(permits(claim, session, 'iot:Connect', 'client/claim~1')).toBe(true);
    expect(permits(claim, session, 'iot:Publish', 'topic/$aws/certificates/create-from-csr/json')).toBe(true);
    expect(permits(claim, session, 'iot:Publish', 'topic/$aws/provisioning-templates/honeymesh/provision/json')).toBe(true);
    expect(permits(claim, session, 'iot:Subscribe', 'topicfilter/$aws/provisioning-templates/honeymesh/provision/json/rejected')).toBe(true);
  });

  test("does not let IoT make the key, nor take a host's place, nor say or hear anything of a host", () => {
    expect(permits(claim, session, 'iot:Publish', 'topic/$aws/certificates/create/json')).toBe(false);
    expect(permits(claim, session, 'iot:Publish', 'topic/$aws/provisioning-templates/other/provision/json')).toBe(false);
    expect(permits(claim, { clientId: SELF, things: [] }, 'iot:Connect', `client/${SELF}`)).toBe(false);
    for (const topic of [...SAID, ...HEARD, ...NEVER_SAID.filter(topic => !topic.startsWith('$aws/certificates') && !topic.startsWith('$aws/provisioning'))]) {
      expect(permits(claim, session, 'iot:Publish', `topic/${topic}`), topic).toBe(false);
      expect(permits(claim, session, 'iot:Receive', `topic/${topic}`), topic).toBe(false);
    }
  });
});

describe('the evaluator', () => {
  const allow = (Resource: string): Policy => ({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'iot:Publish', Resource: `arn:aws:iot:us-east-1:000000000000:topic/${Resource}` }],
  });
  const publishes = (resource: string, topic: string, session = self): boolean => permits(allow(resource), session, 'iot:Publish', `topic/${topic}`);

  test('takes * and ? for wildcards, + and # not', () => {
    expect(publishes('a/*', 'a/b/c')).toBe(true);
    expect(publishes('a/?', 'a/b')).toBe(true);
    expect(publishes('a/?', 'a/bc')).toBe(false);
    expect(publishes('a/+', 'a/b')).toBe(false);
    expect(publishes('a/#', 'a/b')).toBe(false);
  });

  test('takes a value for nothing but itself', () => {
    expect(publishes(`x/${variable('iot:Connection.Thing.ThingName')}`, 'x/anything', { clientId: '*', things: ['*'] })).toBe(false);
    expect(publishes(`x/${variable('iot:Unknown')}`, 'x/')).toBe(false);
  });

  test('lets a Deny win', () => {
    const both: Policy = {
      Version: '2012-10-17',
      Statement: [...allow('a/*').Statement, { ...(allow('a/b').Statement[0] as Policy['Statement'][number]), Effect: 'Deny' }],
    };
    expect(permits(both, self, 'iot:Publish', 'topic/a/c')).toBe(true);
    expect(permits(both, self, 'iot:Publish', 'topic/a/b')).toBe(false);
  });
});
