/**
 * What a host's certificate lets it do at the broker. Every resource carries the name of the thing that the certificate is attached to, so one policy is
 * for all hosts and none can speak, listen or connect as another: that variable is known only where the client id is the thing's name.
 */
import { heardBy, saidBy } from './topics.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IoT's policies, which IoT fills in
const THING = '${iot:Connection.Thing.ThingName}';

/** AWS counts a policy's characters without white space. */
export const LONGEST_POLICY = 2_048;

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly {
    readonly Effect: 'Allow';
    readonly Action: string;
    readonly Resource: string | readonly string[];
    readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  }[];
}

/** `arn` makes the ARN of a resource of IoT in the hub's account and region, as `client/x`. */
export function hostPolicy(arn: (resource: string) => string): PolicyDocument {
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'iot:Connect', Resource: arn(`client/${THING}`), Condition: { Bool: { 'iot:Connection.Thing.IsAttached': 'true' } } },
      { Effect: 'Allow', Action: 'iot:Publish', Resource: saidBy(THING).map(topic => arn(`topic/${topic}`)) },
      { Effect: 'Allow', Action: 'iot:Subscribe', Resource: heardBy(THING).map(topic => arn(`topicfilter/${topic}`)) },
      { Effect: 'Allow', Action: 'iot:Receive', Resource: heardBy(THING).map(topic => arn(`topic/${topic}`)) },
    ],
  };
}

/** A claim certificate, which many new hosts share: it gets a host its own certificate, by a request whose key stays on the host, and nothing else. */
export function claimPolicy(arn: (resource: string) => string, template: string): PolicyDocument {
  const asked = ['$aws/certificates/create-from-csr/json', `$aws/provisioning-templates/${template}/provision/json`];
  const answered = asked.flatMap(topic => [`${topic}/accepted`, `${topic}/rejected`]);
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'iot:Connect', Resource: arn(`client/${CLAIM_CLIENT}*`) },
      { Effect: 'Allow', Action: 'iot:Publish', Resource: asked.map(topic => arn(`topic/${topic}`)) },
      { Effect: 'Allow', Action: 'iot:Subscribe', Resource: answered.map(topic => arn(`topicfilter/${topic}`)) },
      { Effect: 'Allow', Action: 'iot:Receive', Resource: answered.map(topic => arn(`topic/${topic}`)) },
    ],
  };
}

/** Begins the client id of a host that is being enrolled. AWS lets no thing be called so. */
export const CLAIM_CLIENT = 'claim~';
