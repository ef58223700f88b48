/**
 * Mosquitto as a second broker that enforces the hosts' policy: its access list is made from the very policy document of the template. What a policy grants a
 * thing by a variable, Mosquitto's patterns grant a user by `%u`, and the user is the certificate's common name.
 */

import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Authority } from './certificates.ts';
import { type Emulator, freePorts, startEmulator } from './emulator.ts';
import type { Policy } from './iot-policy.ts';

export interface Mosquitto extends Emulator {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
}

/** The user that stands for the hub: the functions publish over HTTPS in AWS, here over MQTT. */
export const HUB_USER = 'hub';

export async function startMosquitto(command: string, folder: string, policy: Policy, authority: Authority): Promise<Mosquitto> {
  const [port] = (await freePorts(1)) as [number];
  const server = await authority.issue('localhost', true);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const settings = [
    'per_listener_settings false',
    `listener ${port} 127.0.0.1`,
    `cafile ${await file('mosquitto-ca.pem', authority.ca)}`,
    `certfile ${await file('mosquitto.pem', server.certificate)}`,
    `keyfile ${await file('mosquitto.key', server.key)}`,
    'require_certificate true',
    'use_identity_as_username true',
    // Without it the certificate of one host may take the client id of another, which IoT's policy forbids.
    'use_username_as_clientid true',
    'allow_anonymous false',
    `acl_file ${await file('mosquitto.acl', accessList(policy))}`,
    'max_packet_size 131072',
    'persistence false',
    // It would give its rights up for a user that may not read these files.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'log_dest stderr',
    'log_type all',
  ];
  const configuration = await file('mosquitto.conf', `${settings.join('\n')}\n`);
  const emulator = await startEmulator({ name: 'mosquitto', command: [command, '-c', configuration], folder, environment: {}, ready: () => listens(port) });
  return { ...emulator, host: 'localhost', port, ca: authority.ca };
}

/** Mosquitto grants every SUBSCRIBE and looks at each message instead: what may be received is what a policy allows to receive. */
export function accessList(policy: Policy): string {
  const granted = (action: string): string[] =>
    policy.Statement.filter(({ Effect, Action }) => Effect === 'Allow' && Action === action)
      .flatMap(({ Resource }) => Resource)
      .map(arn => arn.slice(arn.indexOf(':topic/') + ':topic/'.length).replace(/\$\{iot:Connection\.Thing\.ThingName\}/, '%u'));
  const lines = [
    `user ${HUB_USER}`,
    'topic write #',
    '',
    ...granted('iot:Publish').map(topic => `pattern write ${topic}`),
    ...granted('iot:Receive').map(topic => `pattern read ${topic}`),
  ];
  const wildcard = lines.slice(3).find(line => /[*?]/.test(line) || line.includes('${'));
  if (wildcard !== undefined) throw new Error(`Mosquitto has nothing that means the same: ${wildcard}`);
  return `${lines.join('\n')}\n`;
}

const listens = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
