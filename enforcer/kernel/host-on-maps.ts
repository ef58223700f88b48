/** What the kernel has to know of this host: its addresses, which ports are served, which are traps. */
import { type Address, addressBytes, addressFromBytes } from '@honeymesh/intel/address';
import { HoneyMeshError } from '../errors.ts';
import type { KernelClock } from './clock.ts';
import { writeOwn4 } from './codecs.ts';
import type { ConfigEntry } from './config-entry.ts';
import { SERVED_ALWAYS, SERVED_UDP } from './layouts.ts';
import { indexKey, joined, type KernelMap, readWord, word } from './maps.ts';
import { ERRNO, kernelError } from './native.ts';
import type { ServedPorts } from './port.ts';

const TRAP_WORDS = 1024;

export interface HostMaps {
  setOwnAddresses(addresses: readonly Address[]): void;
  setServedPorts(always: ServedPorts, now: ServedPorts): void;
  setTrapPorts(ports: readonly number[]): void;
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
      const words = new BigUint64Array(TRAP_WORDS);
      for (const port of ports) words[port >> 6] = (words[port >> 6] ?? 0n) | (1n << BigInt(port & 63));
      const keys = Array.from(words, (_, at) => indexKey(at));
      const failed = maps.trap_ports.putMany(joined(keys, 4), joined(Array.from(words, word), 8)).find(result => result !== 0);
      if (failed !== undefined) throw kernelError('HM_MAP', 'noting the trap ports', failed);
    },
  };
}
