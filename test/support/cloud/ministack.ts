/** MiniStack: IoT Core with its policies enforced (AUTH), Lambda, DynamoDB, KMS, SQS, CloudFormation in one process. */
import { answers, type Emulator, freePorts, startEmulator } from './emulator.ts';
import type { Emulators } from './set-up.ts';

/** Each invocation at once is a Node process: without a bound, 200 reports are 100 of them. */
const MOST_FUNCTIONS_AT_ONCE = 8;

export interface MiniStack extends Emulator {
  readonly endpoint: string;
  readonly mqttPort: number;
  /** PEM of the CA that signed the broker's certificate. */
  readonly ca: string;
}

export async function startMiniStack(emulators: Emulators, folder: string): Promise<MiniStack> {
  const [port, mqttPort] = (await freePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${port}`;
  const emulator = await startEmulator({
    name: 'ministack',
    command: [emulators.ministack, '-m', 'ministack'],
    folder,
    environment: {
      AUTH: 'true',
      GATEWAY_PORT: String(port),
      IOT_MTLS_PORT: String(mqttPort),
      BIND_HOST: '127.0.0.1',
      MINISTACK_HOST: 'localhost',
      SFTP_ENABLED: '0',
      LOG_LEVEL: 'INFO',
      LAMBDA_ACCOUNT_CONCURRENCY: String(MOST_FUNCTIONS_AT_ONCE),
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
    ready: () => answers(`${endpoint}/_ministack/ready`, body => body.includes('iot_mtls')),
  });
  const ca = await fetch(`${endpoint}/_ministack/iot/ca.pem`);
  return { ...emulator, endpoint, mqttPort, ca: await ca.text() };
}
