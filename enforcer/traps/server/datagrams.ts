/** The traps' datagrams on the addon: reads its rows, one batch a turn of the loop, and tells them as events. */
import { addressFromBytes } from '@honeymesh/intel/address';
import { addon, mustHave, type NativeDatagrams } from '../../kernel/native.ts';
import { type DatagramEvents, LONGEST_DATAGRAM, type TrapDatagrams } from './datagram-port.ts';

/** As in native/datagrams.cc. */
const ROWS = 64;
const HEADER = 64; // bytes
const ROW = HEADER + LONGEST_DATAGRAM;
const WORD = { family: 0, kept: 1, length: 2, sourcePort: 3, ownPort: 4 } as const;
const SOURCE = 32;
const OWN = 48;

/** HM_TRAP_LISTEN from `start` where the descriptors are no sockets. */
export function createTrapDatagrams(): TrapDatagrams {
  const buffer = new Uint8Array(ROWS * ROW);
  const words = new Uint32Array(buffer.buffer);
  let engine: NativeDatagrams | undefined;
  let events: DatagramEvents | undefined;
  let told = -1;

  function tellRow(to: DatagramEvents, row: number): void {
    const at = row * ROW;
    const word = (index: number): number => words[(at >> 2) + index] ?? 0;
    const port = word(WORD.ownPort);
    if (port === 0) return; // to nobody in particular
    const width = word(WORD.family) === 6 ? 16 : 4;
    const source = addressFromBytes(buffer.subarray(at + SOURCE, at + SOURCE + width));
    const destination = addressFromBytes(buffer.subarray(at + OWN, at + OWN + width));
    const bytes = buffer.subarray(at + HEADER, at + HEADER + word(WORD.kept));
    to.received({ source, sourcePort: word(WORD.sourcePort), destination, port, length: word(WORD.length) }, bytes);
  }

  function tell(count: number): void {
    const to = events;
    if (to === undefined) return;
    let trouble: { readonly error: unknown } | undefined;
    for (told = 0; told < count && events !== undefined; told++) {
      try {
        tellRow(to, told);
      } catch (error) {
        trouble ??= { error }; // the others of the batch are told all the same
      }
    }
    told = -1;
    if (events !== undefined) to.settled();
    if (trouble !== undefined) throw trouble.error;
  }

  return {
    start(fds, to) {
      events = to;
      engine = mustHave(addon().startDatagrams(fds, buffer, tell), 'HM_TRAP_LISTEN', "the traps' UDP sockets cannot be used");
    },
    reply: bytes => told >= 0 && engine?.reply(told, bytes) === 0,
    stop() {
      events = undefined;
      engine?.stop();
    },
  };
}
