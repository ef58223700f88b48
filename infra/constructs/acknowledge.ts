import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Says why a rule of cdk-nag does not hold for a construct and what is below it. */
export function acknowledge(scope: IConstruct, rule: string, reason: string): void {
  Validations.of(scope).acknowledge({ id: `AwsSolutions-${rule}`, reason });
}

/** Says why a resource of a policy has an open part. Only that one: another wildcard in the same policy is still an error. */
export function acknowledgeOpen(scope: IConstruct, resource: string, reason: string): void {
  acknowledge(scope, `IAM5[Resource::${flat(Stack.of(scope).resolve(resource))}]`, reason);
}

type Resolved = string | { readonly Ref: string } | { readonly 'Fn::Join': readonly [string, readonly Resolved[]] };

/** As cdk-nag prints it. */
function flat(resolved: Resolved): string {
  if (typeof resolved === 'string') return resolved;
  if ('Ref' in resolved) return `<${resolved.Ref}>`;
  const [separator, parts] = resolved['Fn::Join'];
  return parts.map(flat).join(separator);
}
