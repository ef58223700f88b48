/** How IoT makes a host a member when it asks with a claim certificate: its thing, with its key's id; its certificate; its policy. */

/** What a host says of itself, and what the hook adds. The hook (cloud/functions/provisioning-hook) judges all of it before anything is made. */
const SAID = ['ThingName', 'Site', 'Kid', 'Code', 'AWS::IoT::Certificate::Id'];
const ADDED = ['EnrolledBy', 'EnrolledAt'];

/** The hub reads these attributes of a thing (cloud/hub/identity.ts); without a type a thing has three at most. */
export function templateBody({ policyName, thingType }: { readonly policyName: string; readonly thingType: string }): object {
  return {
    Parameters: {
      ...Object.fromEntries(SAID.map(name => [name, { Type: 'String' }])),
      // A host that names these itself is overruled by the hook.
      ...Object.fromEntries(ADDED.map(name => [name, { Type: 'String', Default: 'claim' }])),
    },
    Resources: {
      thing: {
        Type: 'AWS::IoT::Thing',
        Properties: {
          ThingName: { Ref: 'ThingName' },
          ThingTypeName: thingType,
          AttributePayload: { kid: { Ref: 'Kid' }, site: { Ref: 'Site' }, enrolledBy: { Ref: 'EnrolledBy' }, enrolledAt: { Ref: 'EnrolledAt' } },
        },
        // Who holds a claim must not take over a host that is enrolled.
        OverrideSettings: { AttributePayload: 'FAIL', ThingTypeName: 'FAIL', ThingGroups: 'FAIL' },
      },
      certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' } },
      policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: policyName } },
    },
  };
}
