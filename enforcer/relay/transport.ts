/** MQTT 5 with mutual TLS over the AWS device SDK, which is loaded with this file and only then. It reconnects by itself, with full jitter. */
import { iot, mqtt5 } from 'aws-iot-device-sdk-v2';

export interface TransportOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  /** PEM texts. */
  readonly certificate: string;
  readonly key: string;
  readonly ca: string | null;
}

export interface TransportDeps {
  /** Each time; `subscribe` what there is to hear before anything is asked. */
  readonly onConnected: () => void;
  readonly onDisconnected: (why: string) => void;
  readonly onMessage: (topic: string, payload: Uint8Array) => void;
}

export interface Transport {
  start(): void;
  /** Rejects with an Error, whatever the SDK rejects with; also where the broker refuses. */
  publish(topic: string, payload: Uint8Array, qos: 0 | 1): Promise<void>;
  subscribe(filters: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export type ConnectTransport = (options: TransportOptions, deps: TransportDeps) => Transport;

/** IoT Core takes one connect a second of a client, and hundreds of an account: a fleet that lost it at once must not come back at once. */
const RECONNECT_MS = { first: 1_000, longest: 180_000, wellAfter: 60_000 };
const KEEP_ALIVE_S = 60;
const ACK_S = 20;
const STOP_MS = 3_000;
const REFUSED_FROM = 128;

export const connectAws: ConnectTransport = ({ host, port, clientId, certificate, key, ca }, { onConnected, onDisconnected, onMessage }) => {
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromMemory(host, certificate, key);
  if (ca !== null) builder.withCertificateAuthority(ca);
  builder
    .withPort(port)
    .withConnectProperties({ clientId, keepAliveIntervalSeconds: KEEP_ALIVE_S })
    // Never rejoined: what was under way is sent again until a receipt covers it, and an old queue would only come on top.
    .withSessionBehavior(mqtt5.ClientSessionBehavior.Clean)
    .withOfflineQueueBehavior(mqtt5.ClientOperationQueueBehavior.FailAllOnDisconnect)
    .withRetryJitterMode(mqtt5.RetryJitterType.Full)
    .withMinReconnectDelayMs(RECONNECT_MS.first)
    .withMaxReconnectDelayMs(RECONNECT_MS.longest)
    .withMinConnectedTimeToResetReconnectDelayMs(RECONNECT_MS.wellAfter)
    .withConnackTimeoutMs(ACK_S * 1_000)
    .withAckTimeoutSeconds(ACK_S);
  const client = new mqtt5.Mqtt5Client(builder.build());
  client.on('connectionSuccess', () => onConnected());
  client.on('connectionFailure', ({ error, connack }) =>
    onDisconnected(connack === undefined ? textOf(error) : `the broker refused it (CONNACK ${connack.reasonCode})`),
  );
  client.on('disconnection', ({ error, disconnect }) =>
    onDisconnected(
      disconnect === undefined
        ? textOf(error)
        : `the broker ended it (DISCONNECT ${disconnect.reasonCode}${disconnect.reasonString === undefined ? '' : `, ${disconnect.reasonString}`})`,
    ),
  );
  client.on('messageReceived', ({ message }) => onMessage(message.topicName, bytesOf(message.payload)));
  client.on('error', error => onDisconnected(textOf(error)));

  return {
    start: () => client.start(),
    async publish(topic, payload, qos) {
      const packet = { topicName: topic, payload: Buffer.from(payload), qos: qos === 0 ? mqtt5.QoS.AtMostOnce : mqtt5.QoS.AtLeastOnce };
      const result = await client.publish(packet).catch(wrapped);
      if (result !== undefined && result.reasonCode >= REFUSED_FROM) throw new Error(`the broker refused it (PUBACK ${result.reasonCode})`);
    },
    async subscribe(filters) {
      const subscriptions = filters.map(topicFilter => ({ topicFilter, qos: mqtt5.QoS.AtLeastOnce }));
      const { reasonCodes } = await client.subscribe({ subscriptions }).catch(wrapped);
      const at = reasonCodes.findIndex(code => code >= REFUSED_FROM);
      if (at >= 0) throw new Error(`the broker does not let it hear ${filters[at]} (SUBACK ${reasonCodes[at]})`);
    },
    async stop() {
      const stopped = new Promise(resolve => client.once('stopped', resolve));
      client.stop();
      await Promise.race([stopped, new Promise(resolve => setTimeout(resolve, STOP_MS).unref())]);
      client.close();
    },
  };
};

/** Some of its rejections are bare strings, some errors hold another one. */
export function textOf(error: unknown): string {
  if (typeof error === 'string') return error;
  const { error: inner, message } = (error ?? {}) as { readonly error?: unknown; readonly message?: unknown };
  if (inner !== undefined && inner !== error) return textOf(inner);
  return typeof message === 'string' && message !== '' ? message : String(error);
}

function wrapped(error: unknown): never {
  throw new Error(textOf(error), { cause: error });
}

function bytesOf(payload: mqtt5.Payload | undefined): Uint8Array {
  if (payload === undefined) return new Uint8Array();
  return typeof payload === 'string' ? new TextEncoder().encode(payload) : new Uint8Array(payload as ArrayBuffer);
}
