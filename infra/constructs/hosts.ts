/** What makes hosts members: the policy of their certificates, and the template by which a host with a claim certificate gets its own. */
import { Aws, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnPolicy, CfnProvisioningTemplate, CfnThingType } from 'aws-cdk-lib/aws-iot';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { claimPolicy, hostPolicy } from '../host-policy.ts';
import { templateBody } from '../provisioning-template.ts';
import type { HubSettings } from '../settings.ts';
import { acknowledgeOpen } from './acknowledge.ts';
import { permit } from './sources.ts';

export interface Hosts {
  readonly policy: CfnPolicy;
  readonly claimPolicy: CfnPolicy;
  readonly template: CfnProvisioningTemplate;
  readonly type: CfnThingType;
}

export function createHosts(scope: Construct, settings: HubSettings, hook: LambdaFunction): Hosts {
  const hosts = new Construct(scope, 'Hosts');
  const arn = (resource: string): string => `arn:${Aws.PARTITION}:iot:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;
  const policyName = `${settings.name}-host`;
  const policy = new CfnPolicy(hosts, 'Policy', { policyName, policyDocument: hostPolicy(arn) });
  const thingType = `${settings.name}-host`;
  const type = new CfnThingType(hosts, 'Type', { thingTypeName: thingType, thingTypeProperties: { thingTypeDescription: 'A host that runs an enforcer' } });
  // AWS deletes a type only when it was deprecated for five minutes and no thing has it.
  type.applyRemovalPolicy(RemovalPolicy.RETAIN);
  const templateName = settings.name;
  const claim = new CfnPolicy(hosts, 'ClaimPolicy', { policyName: `${settings.name}-claim`, policyDocument: claimPolicy(arn, templateName) });
  const { role, rights } = provisioningRole(hosts, policyName);
  const permission = permit(hosts, 'HookPermission', hook, 'iot.amazonaws.com', arn(`provisioningtemplate/${templateName}`));
  const template = new CfnProvisioningTemplate(hosts, 'Template', {
    templateName,
    description: `Makes hosts members of ${settings.name}`,
    enabled: true,
    provisioningRoleArn: role.roleArn,
    templateBody: JSON.stringify(templateBody({ policyName, thingType })),
    preProvisioningHook: { targetArn: hook.functionArn, payloadVersion: '2020-04-01' },
  });
  // IoT tries the hook when the template is made.
  template.node.addDependency(permission, rights, type);
  return { policy, claimPolicy: claim, template, type };
}

/** What AWS's own AWSIoTThingsRegistration allows, without things groups, billing groups and whatever else our template does not touch. */
function provisioningRole(scope: Construct, policyName: string): { readonly role: Role; readonly rights: Policy } {
  const role = new Role(scope, 'Provisioner', {
    assumedBy: new ServicePrincipal('iot.amazonaws.com', { conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } } }),
  });
  const iot = (resource: string, resourceName: string): string => Stack.of(scope).formatArn({ service: 'iot', resource, resourceName });
  const rights = new Policy(scope, 'ProvisionerRights', {
    roles: [role],
    statements: [
      new PolicyStatement({ actions: ['iot:CreateThing', 'iot:DescribeThing', 'iot:UpdateThing', 'iot:AttachThingPrincipal'], resources: [iot('thing', '*')] }),
      new PolicyStatement({
        actions: ['iot:AttachThingPrincipal', 'iot:DescribeCertificate', 'iot:UpdateCertificate', 'iot:AttachPolicy'],
        resources: [iot('cert', '*')],
      }),
      new PolicyStatement({ actions: ['iot:GetPolicy', 'iot:AttachPolicy'], resources: [iot('policy', policyName)] }),
    ],
  });
  for (const resource of ['thing', 'cert']) acknowledgeOpen(rights, iot(resource, '*'), 'Things and certificates of hosts come to be by this very role.');
  return { role, rights };
}
