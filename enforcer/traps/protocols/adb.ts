/** Android Debug Bridge over TCP (packages/modules/adb/protocol.txt): a device without authentication, as botnets look for it on port 5555. Runs nothing. */
import { bytesOf } from './lines.ts';
import type { Observation, TrapContext, TrapMachine } from './machine.ts';
import { createMachine, MORE, type Step } from './machine-talk.ts';
import { command, malformed, payload } from './observation.ts';

const HEADER_BYTES = 24;
const LONGEST_DATA = 16 * 1024;
const VERSION = 0x01_00_00_01;
const VERSION_WITHOUT_SUMS = 0x01_00_00_01; // A_VERSION_SKIP_CHECKSUM
const LARGEST_PAYLOAD = 1024 * 1024;
const SERVICE_ID = 7;

const CNXN = 0x4e584e43;
const OPEN = 0x4e45504f;
const OKAY = 0x59414b4f;
const CLSE = 0x45534c43;
const WRTE = 0x45545257;
const AUTH = 0x48545541;
const SYNC = 0x434e5953;
const STLS = 0x534c5453;
const KINDS: ReadonlySet<number> = new Set([CNXN, OPEN, OKAY, CLSE, WRTE, AUTH, SYNC, STLS]);

const FEATURES = 'shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir,apex,abb,fixed_push_symlink_timestamp,abb_exec,remount_shell';

/** The machine of one connection. */
export function createAdbTrap(context: TrapContext): TrapMachine {
  const { persona } = context;
  const [product, model, device] = persona.pick('adb-device', [
    ['redroid_x86_64', 'redroid12_x86_64', 'redroid_x86_64'],
    ['redroid_x86_64_only', 'redroid13_x86_64_only', 'redroid_x86_64_only'],
  ] as [[string, string, string], ...[string, string, string][]]);
  let connected = false;
  let sums = true;
  let service = '';

  function message(kind: number, first: number, second: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(kind, 0);
    header.writeUInt32LE(first, 4);
    header.writeUInt32LE(second, 8);
    header.writeUInt32LE(data.length, 12);
    header.writeUInt32LE(sums ? data.reduce((sum, byte) => sum + byte, 0) : 0, 16);
    header.writeUInt32LE((kind ^ 0xff_ff_ff_ff) >>> 0, 20);
    return Buffer.concat([header, data]);
  }

  function opened(peerId: number, data: Buffer): Omit<Step, 'used'> {
    service = data.toString('latin1').replace(/\0$/, '');
    const observations: readonly Observation[] = [command(service)];
    const okay = message(OKAY, SERVICE_ID, peerId);
    const shell = /^(?:shell|exec)(?:,[^:]*)?:(.*)$/s.exec(service)?.[1];
    if (shell !== undefined && shell !== '') return { observations, send: Buffer.concat([okay, ...output(shell, peerId), message(CLSE, SERVICE_ID, peerId)]) };
    if (shell !== undefined) return { observations, send: Buffer.concat([okay, message(WRTE, SERVICE_ID, peerId, bytesOf(`${device}:/ # `))]) };
    if (service.startsWith('sync:')) return { observations, send: okay };
    return { observations, send: message(CLSE, 0, peerId) };
  }

  /** What the commands that botnets ask first print. */
  function output(line: string, peerId: number): readonly Buffer[] {
    const said = /^(?:id|whoami)\b/.test(line)
      ? 'uid=0(root) gid=0(root) groups=0(root) context=u:r:su:s0\n'
      : /^uname/.test(line)
        ? `Linux localhost ${persona.release.kernel} ${persona.release.kernelBuild} x86_64\n`
        : /getprop ro\.product\.model/.test(line)
          ? `${model}\n`
          : '';
    return said === '' ? [] : [message(WRTE, SERVICE_ID, peerId, bytesOf(said))];
  }

  function answer(kind: number, first: number, data: Buffer): Omit<Step, 'used'> | undefined {
    if (!connected && kind !== CNXN) return undefined;
    switch (kind) {
      case CNXN: {
        connected = true;
        sums = first < VERSION_WITHOUT_SUMS;
        const banner = `device::ro.product.name=${product};ro.product.model=${model};ro.product.device=${device};features=${FEATURES}`;
        return {
          observations: [command(`CNXN ${data.toString('latin1').replace(/\0$/, '')}`)],
          send: message(CNXN, VERSION, LARGEST_PAYLOAD, bytesOf(banner)),
        };
      }
      case OPEN:
        return opened(first, data);
      case WRTE: {
        const line = data.toString('latin1');
        const okay = message(OKAY, SERVICE_ID, first);
        if (service.startsWith('sync:')) return { observations: [payload('adb sync', line)], send: okay };
        const prompt = /[\r\n]/.test(line) ? [...output(line.trim(), first), message(WRTE, SERVICE_ID, first, bytesOf(`${device}:/ # `))] : [];
        return { observations: [command(line.trim())], send: Buffer.concat([okay, message(WRTE, SERVICE_ID, first, data), ...prompt]) };
      }
      case CLSE:
        return { send: message(CLSE, SERVICE_ID, first) };
      default: // OKAY and the answers of a client that expected to authenticate
        return {};
    }
  }

  return createMachine(
    {
      protocol: 'adb',
      longestMessage: HEADER_BYTES + LONGEST_DATA,
      next(waiting) {
        const broken = (why: string): Step => ({ used: waiting.length, observations: [malformed(why)], close: true });
        // Who speaks something else is told at once by the end of the connection, as by adbd once it has a header's worth.
        if (waiting.length >= 4 && !KINDS.has(waiting.readUInt32LE(0))) return broken('not an adb command');
        if (waiting.length < HEADER_BYTES) return MORE;
        const kind = waiting.readUInt32LE(0);
        const size = waiting.readUInt32LE(12);
        if (waiting.readUInt32LE(20) !== (kind ^ 0xff_ff_ff_ff) >>> 0) return broken('not an adb header');
        if (size > LONGEST_DATA) return broken('adb data too long');
        if (waiting.length < HEADER_BYTES + size) return MORE;
        const step = answer(kind, waiting.readUInt32LE(4), waiting.subarray(HEADER_BYTES, HEADER_BYTES + size));
        return step === undefined ? broken('adb before CNXN') : { used: HEADER_BYTES + size, ...step };
      },
    },
    context.limits,
  );
}
