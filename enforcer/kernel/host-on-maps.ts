/** What the kernel has to know of this host: its addresses, which ports are served, which are traps. */
import { type Address, addressBytes, addressFromBytes } from '@honeymesh/intel/address';
import { HoneyMeshError } from '../errors.ts';
import type { KernelClock } from './clock.ts';
import { writeOwn4 } from './codecs.ts';
import type { ConfigEntry } from './config-entry.ts';
import { SERVED_ALWAYS, SERVED_UDP, TRAP_WORDS } from './layouts.ts';
import { indexKey, joined, type KernelMap, readWord, word } from './maps.ts';
import { ERRNO, kernelError } from './native.ts';
import type { ServedPorts, TrapPorts } from './port.ts';

const EVERY_PORT = Array.from({ length: 65_535 }, (_, at) => at + 1);

export interface HostMaps {
  setOwnAddresses(addresses: readonly Address[]): void;
  setServedPorts(always: ServedPorts, now: ServedPorts): void;
  setTrapPorts(ports: TrapPorts): void;
}

export function hostOnMaps(maps: Readonly<Record<'own' | 'served' | 'trap_ports', KernelMap>>, config: ConfigEntry, clock: KernelClock): HostMaps {
  /** null: not read yet; an enforcer before this one may have left some. */
  let always: ReadonlySet<number> | null = null;

  const writeServed = (ports: Iterable<number>, at: bigint): void => {
    const keys = [...ports].map(indexKey);
    const failed = maps.served
      .putMany(
        joined(keys, 4),
        joined(
          keys.map(() => word(at)),
          8,
        ),
      )
      .find(result => result !== 0);
    if (failed !== undefined) throw kernelError('HM_MAP', 'noting the served ports', failed);
  };

  const formerAlways = (): ReadonlySet<number> => {
    const former = new Set<number>();
    for (const [key, value] of maps.served.entries()) {
      if (readWord(value) === SERVED_ALWAYS) former.add(new DataView(key.buffer, key.byteOffset).getUint32(0, true));
    }
    return former;
  };

  return {
    setOwnAddresses(addresses) {
      const wanted = new Set(addresses);
      const one = new Uint8Array([1]);
      for (const address of wanted) {
        const result = maps.own.put(addressBytes(address), one);
        if (result === -ERRNO.E2BIG) {
          throw new HoneyMeshError('HM_MAP', `this host has ${wanted.size} addresses, more than the ${maps.own.maxEntries} that the kernel map holds`, {
            fix: 'packets to the others are not judged (bans hold); remove addresses, or guard fewer with one instance',
          });
        }
        if (result !== 0) throw kernelError('HM_MAP', 'noting the own addresses', result);
      }
      // Between the two: what is looked at first holds nothing that the map does not.
      config.change(entry => writeOwn4(entry, [...wanted]));
      const gone = [...maps.own.entries()].map(([key]) => key).filter(key => !wanted.has(addressFromBytes(key)));
      if (gone.length > 0) maps.own.removeMany(joined(gone, 16));
    },
    setServedPorts(forGood, now) {
      const wanted = new Set([...forGood.tcp, ...forGood.udp.map(port => SERVED_UDP + port)]);
      const seen = [...now.tcp, ...now.udp.map(port => SERVED_UDP + port)].filter(index => !wanted.has(index));
      const former = always ?? formerAlways();
      writeServed(wanted, SERVED_ALWAYS);
      // What is served no longer by order may still have a listener: XDP finds it at the next SYN.
      writeServed(
        [...former].filter(index => !wanted.has(index)),
        0n,
      );
      writeServed(seen, clock.nowNs());
      always = wanted;
    },
    setTrapPorts(ports) {
      const keys = Array.from({ length: TRAP_WORDS }, (_, at) => indexKey(at));
      const failed = maps.trap_ports.putMany(joined(keys, 4), trapBits(ports)).find(result => result !== 0);
      if (failed !== undefined) throw kernelError('HM_MAP', 'noting the trap ports', failed);
    },
  };
}

/** The values of `trap_ports` one after the other: a bit for each port, TCP and then UDP. Port 0, which nobody can ask for, is never one of them. */
function trapBits({ tcp, udp }: TrapPorts): Uint8Array {
  const bits = new Uint8Array(TRAP_WORDS * 8);
  for (const [from, ports] of [[0, tcp] as const, [bits.length / 2, udp] as const]) {
    for (const port of ports === 'all' ? EVERY_PORT : ports) {
      const at = from + (port >> 3);
      if (port !== 0) bits[at] = (bits[at] ?? 0) | (1 << (port & 7));
    }
  }
  return bits;
}
