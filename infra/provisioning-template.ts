/** How IoT makes a host a member when it asks with a claim certificate: its thing, under its own name, with its key's id; its certificate; its policy. */

/** What a host says of itself, besides the certificate that it just got. The hook judges all of it before anything is made. */
export const PROVISIONING_PARAMETERS = ['name', 'kid', 'site', 'code'] as const;

export function templateBody(policyName: string): object {
  return {
    Parameters: Object.fromEntries([...PROVISIONING_PARAMETERS, 'AWS::IoT::Certificate::Id'].map(name => [name, { Type: 'String' }])),
    Resources: {
      thing: {
        Type: 'AWS::IoT::Thing',
        Properties: { ThingName: { Ref: 'name' }, AttributePayload: { kid: { Ref: 'kid' }, site: { Ref: 'site' } } },
        // Who holds a claim must not take over a host that is enrolled.
        OverrideSettings: { AttributePayload: 'FAIL', ThingTypeName: 'FAIL', ThingGroups: 'FAIL' },
      },
      certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' } },
      policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: policyName } },
    },
  };
}
