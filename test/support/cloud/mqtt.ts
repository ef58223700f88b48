/** A host at the broker: the AWS device SDK's MQTT 5 client, as the enforcer uses it, with what a test asks of it. */
import { iot, mqtt5 } from 'aws-iot-device-sdk-v2';

export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly ca: string;
}

export interface Received {
  readonly topic: string;
  readonly payload: Buffer;
  readonly atMs: number;
}

export interface Session {
  readonly received: Received[];
  readonly connected: () => boolean;
  /** MQTT's reason code; 0: taken, 135: not authorised. */
  publish(topic: string, payload: Uint8Array | string, retain?: boolean): Promise<number>;
  /** MQTT's reason code; 0 and 1 grant the QoS. */
  subscribe(filter: string): Promise<number>;
  /** The first message that fits and was not taken before; rejects where none comes in time. */
  next(fits?: (message: Received) => boolean, withinMs?: number): Promise<Received>;
  close(): Promise<void>;
}

const REFUSED = 'CONNACK';

export type Connection = { readonly ok: true; readonly session: Session } | { readonly ok: false; readonly why: string };

/** Connects once; a refusal is a value. */
export async function connect({ host, port, ca }: Broker, { certificate, key }: Identity, clientId: string): Promise<Connection> {
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromMemory(host, certificate, key);
  builder.withCertificateAuthority(ca).withPort(port).withConnectProperties({ clientId, keepAliveIntervalSeconds: 60 });
  builder.withMinReconnectDelayMs(60_000).withMaxReconnectDelayMs(120_000).withAckTimeoutSeconds(10);
  const client = new mqtt5.Mqtt5Client(builder.build());
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  let connected = false;
  client.on('messageReceived', ({ message }) => {
    received.push({ topic: message.topicName, payload: bytesOf(message.payload), atMs: performance.now() });
    for (const wake of waiting) wake();
  });
  client.on('disconnection', () => {
    connected = false;
  });
  const close = async (): Promise<void> => {
    const stopped = new Promise(resolve => client.once('stopped', resolve));
    client.stop();
    await stopped;
    client.close();
  };
  const refused = await new Promise<string | null>(resolve => {
    client.once('connectionSuccess', () => resolve(null));
    client.once('connectionFailure', ({ error, connack }) =>
      resolve(connack === undefined ? String(error.error ?? error) : `${REFUSED} ${connack.reasonCode}`),
    );
    client.start();
  });
  if (refused !== null) {
    await close();
    return { ok: false, why: refused };
  }
  connected = true;
  const session: Session = {
    received,
    connected: () => connected,
    async publish(topic, payload, retain = false) {
      const packet = { topicName: topic, payload: Buffer.from(payload), qos: mqtt5.QoS.AtLeastOnce, retain };
      const result = await client.publish(packet).catch(failed);
      return typeof result === 'number' ? result : ((result as mqtt5.PubackPacket | undefined)?.reasonCode ?? 0);
    },
    async subscribe(filter) {
      const result = await client.subscribe({ subscriptions: [{ topicFilter: filter, qos: mqtt5.QoS.AtLeastOnce }] }).catch(failed);
      return typeof result === 'number' ? result : (result.reasonCodes[0] ?? 0);
    },
    async next(fits = () => true, withinMs = 15_000) {
      const deadline = performance.now() + withinMs;
      for (;;) {
        const at = received.findIndex(fits);
        if (at >= 0) return received.splice(at, 1)[0] as Received;
        const left = deadline - performance.now();
        if (left <= 0) throw new Error(`nothing came within ${withinMs} ms; waiting are ${JSON.stringify(received.map(({ topic }) => topic))}`);
        await new Promise<void>(resolve => {
          const wake = (): void => {
            clearTimeout(timer);
            waiting.delete(wake);
            resolve();
          };
          const timer = setTimeout(wake, left);
          waiting.add(wake);
        });
      }
    },
    close,
  };
  return { ok: true, session };
}

/** A connection that must come to be. A busy machine may be too slow for a handshake; what the broker refuses is refused. */
export async function connected(broker: Broker, identity: Identity, clientId: string): Promise<Session> {
  for (let tries = 1; ; tries++) {
    const connection = await connect(broker, identity, clientId);
    if (connection.ok) return connection.session;
    if (tries === 3 || connection.why.startsWith(REFUSED)) throw new Error(`${clientId} was not let in: ${connection.why}`);
  }
}

/** The SDK checks filters itself, and some of its rejections are bare strings. */
const failed = (error: unknown): number => {
  const code = /reasonCode"?:\s*(\d+)/.exec(String((error as Error).message ?? error));
  return code === null ? 128 : Number(code[1]);
};

function bytesOf(payload: mqtt5.Payload | undefined): Buffer {
  if (payload === undefined) return Buffer.alloc(0);
  return typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload as ArrayBuffer);
}
