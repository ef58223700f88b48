import { DescribeThingCommand, IoTClient, ResourceNotFoundException, UpdateCertificateCommand } from '@aws-sdk/client-iot';
import { type Registered, registeredFrom } from '../../hub/identity.ts';

export interface Registry {
  /** What enrolment wrote of a thing; null: there is none of this name. */
  registered(thing: string): Promise<Registered | null>;
  /** The broker ends its connections and takes none any more. An operator sets it ACTIVE again. */
  deactivate(certificate: string): Promise<void>;
}

export function awsRegistry(): Registry {
  const client = new IoTClient({});
  return {
    async registered(thing) {
      try {
        const { attributes } = await client.send(new DescribeThingCommand({ thingName: thing }));
        return registeredFrom(attributes ?? {});
      } catch (thrown) {
        if (thrown instanceof ResourceNotFoundException) return null;
        throw thrown;
      }
    },
    deactivate: async certificate => void (await client.send(new UpdateCertificateCommand({ certificateId: certificate, newStatus: 'INACTIVE' }))),
  };
}
