/** MQTT 3.1, 3.1.1 and 5 (OASIS): a mosquitto that takes anonymous clients, refuses names, and forwards nothing. */

import { bytesOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { mqttString, readVariable, type Variable } from './mqtt-packets.ts';
import { command, credentials, malformed, payload } from './observation.ts';

const LONGEST_PACKET = 16 * 1024;
const NOT_AUTHORISED_3 = 5;
const NOT_AUTHORISED_5 = 0x87;
const FAILURE = 0x80;

const CONNECT = 1;
const PUBLISH = 3;
const PUBREL = 6;
const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;
const PINGREQ = 12;
const DISCONNECT = 14;

/** The machine of one connection. */
export function createMqttTrap(context: TrapContext): TrapMachine {
  let level = 0;

  const broken = (waiting: Buffer, why: string): Step => ({ used: waiting.length, observations: [malformed(why)], close: true });

  function connect(body: Buffer): Omit<Step, 'used'> | string {
    const name = mqttString(body, 0);
    if (name === undefined || (name.text !== 'MQTT' && name.text !== 'MQIsdp')) return 'not a CONNECT';
    level = body[name.next] ?? 0;
    const flags = body[name.next + 1];
    if (flags === undefined) return 'not a CONNECT';
    let at = name.next + 4;
    if (level === 5) at = skipProperties(body, at);
    const client = mqttString(body, at);
    if (client === undefined) return 'CONNECT without a client';
    at = client.next;
    if ((flags & 4) !== 0) {
      if (level === 5) at = skipProperties(body, at);
      const topic = mqttString(body, at);
      const will = topic === undefined ? undefined : mqttString(body, topic.next);
      if (will === undefined) return 'CONNECT without its will';
      at = will.next;
    }
    const user = (flags & 0x80) === 0 ? undefined : mqttString(body, at);
    const secret = (flags & 0x40) === 0 ? undefined : mqttString(body, user?.next ?? at);
    const seen: Observation[] = [command(`CONNECT ${client.text}`)];
    if (level !== 3 && level !== 4 && level !== 5) return 'unknown protocol level';
    if (user === undefined)
      return { observations: seen, send: level === 5 ? Uint8Array.of(0x20, 9, 0, 0, 6, 0x22, 0, 10, 0x21, 0, 20) : Uint8Array.of(0x20, 2, 0, 0) };
    seen.push(credentials(user.text, secret?.text ?? ''));
    return {
      observations: seen,
      close: true,
      send: level === 5 ? Uint8Array.of(0x20, 3, 0, NOT_AUTHORISED_5, 0) : Uint8Array.of(0x20, 2, 0, NOT_AUTHORISED_3),
    };
  }

  function publish(body: Buffer, flags: number): Omit<Step, 'used'> | string {
    const topic = mqttString(body, 0);
    if (topic === undefined) return 'PUBLISH without a topic';
    const quality = (flags >> 1) & 3;
    let at = topic.next;
    const id = body.subarray(at, at + 2);
    if (quality > 0) at += 2;
    if (at > body.length) return 'PUBLISH without an id';
    if (level === 5) at = skipProperties(body, at);
    const observations = [payload(`mqtt ${topic.text}`, body.toString('latin1', at))];
    return quality === 0 ? { observations } : { observations, send: Buffer.concat([Buffer.of(quality === 1 ? 0x40 : 0x50, 2), id]) };
  }

  /** Filters of a SUBSCRIBE (with options) or an UNSUBSCRIBE (without). */
  function filters(body: Buffer, options: 0 | 1): readonly string[] | undefined {
    let at = level === 5 ? skipProperties(body, 2) : 2;
    const wanted: string[] = [];
    while (at < body.length) {
      const filter = mqttString(body, at);
      if (filter === undefined || wanted.length >= 64) return undefined;
      wanted.push(filter.text);
      at = filter.next + options;
    }
    return wanted.length === 0 ? undefined : wanted;
  }

  function subscribe(body: Buffer): Omit<Step, 'used'> | string {
    const wanted = filters(body, 1);
    if (wanted === undefined) return 'SUBSCRIBE without a filter';
    const results = wanted.map(filter => (filter.includes('\0') ? FAILURE : 0));
    const granted = Buffer.from([0x90, 2 + (level === 5 ? 1 : 0) + results.length, body[0] ?? 0, body[1] ?? 0, ...(level === 5 ? [0] : []), ...results]);
    const observations = wanted.map(filter => command(`SUBSCRIBE ${filter}`));
    const tellsVersion = wanted.some(filter => filter.startsWith('$SYS'));
    return { observations, send: tellsVersion ? Buffer.concat([granted, versionMessage()]) : granted };
  }

  /** What a real broker keeps under $SYS/broker/version (not part of `#`: topics that begin with $ are apart). */
  function versionMessage(): Buffer {
    const topic = '$SYS/broker/version';
    const text = `mosquitto version ${context.persona.versions.mosquitto}`;
    const properties = level === 5 ? '\0' : '';
    return bytesOf(
      `\x31${String.fromCharCode(2 + topic.length + properties.length + text.length)}\0${String.fromCharCode(topic.length)}${topic}${properties}${text}`,
    );
  }

  function answer(kind: number, flags: number, body: Buffer): Omit<Step, 'used'> | string {
    if (level === 0 && kind !== CONNECT) return 'not a CONNECT';
    switch (kind) {
      case CONNECT:
        return level === 0 ? connect(body) : 'a second CONNECT';
      case PUBLISH:
        return publish(body, flags);
      case PUBREL:
        return { send: Buffer.concat([Buffer.of(0x70, 2), body.subarray(0, 2)]) };
      case SUBSCRIBE:
        return subscribe(body);
      case UNSUBSCRIBE: {
        const wanted = filters(body, 0);
        if (wanted === undefined) return 'UNSUBSCRIBE without a filter';
        return {
          send: Buffer.from([0xb0, 2 + (level === 5 ? 1 + wanted.length : 0), body[0] ?? 0, body[1] ?? 0, ...(level === 5 ? [0, ...wanted.map(() => 0)] : [])]),
        };
      }
      case PINGREQ:
        return { send: Uint8Array.of(0xd0, 0) };
      case DISCONNECT:
        return { close: true };
      default:
        return 'not for a server';
    }
  }

  return createMachine(
    {
      protocol: 'mqtt',
      longestMessage: LONGEST_PACKET,
      next(waiting) {
        const length: Variable | 'more' | 'broken' = readVariable(waiting, 1);
        if (length === 'more') return MORE;
        if (length === 'broken' || length.value > LONGEST_PACKET) return broken(waiting, 'not an MQTT length');
        const end = length.next + length.value;
        if (waiting.length < end) return MORE;
        const first = waiting[0] ?? 0;
        const step = answer(first >> 4, first & 15, waiting.subarray(length.next, end));
        return typeof step === 'string' ? broken(waiting, step) : { used: end, ...step };
      },
    },
    context.limits,
  );
}

/** Past the properties at `at` (MQTT 5, 2.2.2): beyond the end where they are cut short, so that what follows is missing. */
function skipProperties(body: Buffer, at: number): number {
  const length = readVariable(body, at);
  return typeof length === 'string' ? body.length + 1 : length.next + length.value;
}
