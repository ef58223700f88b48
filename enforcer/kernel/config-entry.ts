/** The one entry of the map `config`, which user space writes whole. This process is its only writer while it holds it. */
import { setFlag } from './codecs.ts';
import { indexKey, type KernelMap } from './maps.ts';
import { mustBe } from './native.ts';

export interface ConfigEntry {
  /** A copy of the entry as the kernel has it. */
  read(): Uint8Array;
  change(edit: (entry: Uint8Array) => void): void;
  /** Sets or clears a flag; writes only where that changes something. */
  flag(bit: number, on: boolean): void;
}

const KEY = indexKey(0);

export function configEntry(map: KernelMap): ConfigEntry {
  const read = (): Uint8Array => map.get(KEY) ?? new Uint8Array(map.valueSize);
  const write = (entry: Uint8Array): void => void mustBe(map.put(KEY, entry), 'HM_MAP', 'writing the configuration into the kernel');
  return {
    read,
    change(edit) {
      const entry = read();
      edit(entry);
      write(entry);
    },
    flag(bit, on) {
      const entry = read();
      if (setFlag(entry, bit, on)) write(entry);
    },
  };
}
