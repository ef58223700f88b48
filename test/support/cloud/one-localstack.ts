/** HONEYMESH_LOCALSTACK_ENDPOINT: one LocalStack that has IoT stands for both emulators. */
import { DescribeEndpointCommand, IoTClient } from '@aws-sdk/client-iot';
import { accessTo } from './deployment.ts';

export interface OneLocalStack {
  readonly endpoint: string;
  readonly mqttHost: string;
  readonly mqttPort: number;
  readonly ca: string;
}

/** Asks it where its broker is and who signed the broker's certificate. */
export async function oneLocalStack(endpoint: string): Promise<OneLocalStack> {
  const { endpointAddress = '' } = await new IoTClient(accessTo(endpoint)).send(new DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' }));
  const [mqttHost = '', port = '8883'] = endpointAddress.split(':');
  const ca = await fetch(new URL('/_aws/iot/LocalStackIoTRootCA.pem', endpoint));
  if (!ca.ok) throw new Error(`${endpoint} has no CA of IoT (${ca.status}): is it a LocalStack with IoT?`);
  return { endpoint, mqttHost, mqttPort: Number(port), ca: await ca.text() };
}
