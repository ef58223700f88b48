/**
 * Makes this host a thing of the operator's account, with the operator's own credentials. All of it can be done again: what is there stays, what is missing
 * is made. A new certificate takes over beside the former one, which holds until the next change.
 */
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateThingCommand,
  DescribeCertificateCommand,
  DescribeEndpointCommand,
  DescribeThingCommand,
  DetachPolicyCommand,
  DetachThingPrincipalCommand,
  IoTClient,
  ListThingPrincipalsCommand,
  UpdateCertificateCommand,
  UpdateThingCommand,
} from '@aws-sdk/client-iot';
import { HoneyMeshError } from '../../errors.ts';

export interface EnrolmentOrder {
  readonly thing: string;
  /** Of this host's key in the mesh. */
  readonly kid: string;
  readonly site: string;
  readonly policy: string;
  readonly thingType: string;
  readonly enrolledAt: number;
}

export interface Cloud {
  endpoint(): Promise<string>;
  /** The thing with its attributes: made, or brought up to date. Enrolled by an operator is also who enrolled by claim before. */
  enrol(order: EnrolmentOrder): Promise<'made' | 'updated'>;
  /** Whether this certificate is active and the thing's. */
  holds(thing: string, certificateId: string): Promise<boolean>;
  certify(order: EnrolmentOrder, request: string): Promise<{ readonly certificate: string; readonly certificateId: string }>;
  /** All certificates of the thing but these are taken off it and set INACTIVE. */
  retire(order: EnrolmentOrder, but: readonly string[]): Promise<readonly string[]>;
}

export function createCloud(region: string | undefined): Cloud {
  const client = new IoTClient(region === undefined ? {} : { region });
  const attributesOf = ({ kid, site, enrolledAt }: EnrolmentOrder): Record<string, string> => ({
    kid,
    site,
    enrolledBy: 'operator',
    enrolledAt: String(enrolledAt),
  });

  async function principalsOf(thing: string): Promise<readonly string[]> {
    const found: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await client.send(new ListThingPrincipalsCommand({ thingName: thing, ...(nextToken === undefined ? {} : { nextToken }) }));
      found.push(...(page.principals ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return found;
  }

  async function attach({ thing, policy }: EnrolmentOrder, arn: string): Promise<void> {
    await client.send(new AttachPolicyCommand({ policyName: policy, target: arn }));
    await client.send(new AttachThingPrincipalCommand({ thingName: thing, principal: arn }));
  }

  return {
    async endpoint() {
      const { endpointAddress } = await tried(client.send(new DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' })));
      if (endpointAddress === undefined) throw new HoneyMeshError('HM_NOT_FOUND', 'AWS named no IoT endpoint', { fix: 'give it with --endpoint' });
      return endpointAddress;
    },
    async enrol(order) {
      const known = await client.send(new DescribeThingCommand({ thingName: order.thing })).catch((error: Error) => {
        if (error.name === 'ResourceNotFoundException') return null;
        throw awsError(error);
      });
      if (known === null) {
        const attributePayload = { attributes: attributesOf(order) };
        await tried(client.send(new CreateThingCommand({ thingName: order.thing, thingTypeName: order.thingType, attributePayload })));
        return 'made';
      }
      const { kid, site, enrolledBy } = known.attributes ?? {};
      if (kid !== order.kid || site !== order.site || enrolledBy !== 'operator')
        await tried(client.send(new UpdateThingCommand({ thingName: order.thing, attributePayload: { attributes: attributesOf(order), merge: true } })));
      return 'updated';
    },
    async holds(thing, certificateId) {
      try {
        const { certificateDescription } = await client.send(new DescribeCertificateCommand({ certificateId }));
        const { status, certificateArn } = certificateDescription ?? {};
        return status === 'ACTIVE' && certificateArn !== undefined && (await principalsOf(thing)).includes(certificateArn);
      } catch (error) {
        if ((error as Error).name === 'ResourceNotFoundException') return false;
        throw awsError(error as Error);
      }
    },
    async certify(order, request) {
      const made = await tried(client.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: request, setAsActive: true })));
      const { certificateArn, certificateId, certificatePem } = made;
      if (certificateArn === undefined || certificateId === undefined || certificatePem === undefined)
        throw new HoneyMeshError('HM_REFUSED', 'AWS made no certificate', { fix: 'try again' });
      await tried(attach(order, certificateArn));
      return { certificate: certificatePem, certificateId };
    },
    async retire({ thing, policy }, but) {
      const retired: string[] = [];
      for (const arn of await tried(principalsOf(thing))) {
        const certificateId = arn.split('/').at(-1) ?? '';
        if (but.includes(certificateId)) continue;
        await tried(client.send(new DetachPolicyCommand({ policyName: policy, target: arn })));
        await tried(client.send(new DetachThingPrincipalCommand({ thingName: thing, principal: arn })));
        await tried(client.send(new UpdateCertificateCommand({ certificateId, newStatus: 'INACTIVE' })));
        retired.push(certificateId);
      }
      return retired;
    },
  };
}

const tried = <T>(asked: Promise<T>): Promise<T> => asked.catch((error: Error) => Promise.reject(awsError(error)));

/** What an operator can mend about it. */
function awsError(error: Error): HoneyMeshError {
  const { name, message } = error;
  const parts = (fix: string) => ({ fix, cause: error });
  if (/Credentials|CouldNotLoad|Token|Unrecognized|InvalidSignature/i.test(name) || /credentials|region is missing/i.test(message))
    return new HoneyMeshError(
      'HM_REFUSED',
      `AWS does not know who asks: ${message}`,
      parts('set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION or --region; with sudo keep them: sudo -E'),
    );
  if (/AccessDenied|Unauthorized|Forbidden/i.test(name))
    return new HoneyMeshError(
      'HM_REFUSED',
      `AWS does not allow it: ${message}`,
      parts('use credentials that may administer IoT things, certificates and policies (docs/hub.md)'),
    );
  if (name === 'ResourceNotFoundException')
    return new HoneyMeshError(
      'HM_NOT_FOUND',
      `AWS does not have it: ${message}`,
      parts('is the hub deployed in this account and region, and under this name (--hub)? "npm run hub:deploy" in the checkout'),
    );
  return new HoneyMeshError(
    'HM_REFUSED',
    `AWS refused: ${name}: ${message}`,
    parts('look at the message; what was made so far is found again at the next try'),
  );
}
