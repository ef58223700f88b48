/** A map by its descriptor: rows in, rows out. Refusals come back as negative errno values; what cannot be (a closed descriptor) is thrown. */
import { HoneyMeshBug } from '../errors.ts';
import { addon, ERRNO, errnoText, kernelError, type MapRows, mustHave, UPDATE } from './native.ts';

export interface KernelMap {
  readonly name: string;
  readonly fd: number;
  readonly keySize: number;
  /** Bytes of a value as a look-up returns it: of a per-CPU map, the rows of all possible CPUs. */
  readonly valueSize: number;
  readonly maxEntries: number;
  get(key: Uint8Array): Uint8Array | null;
  /** 0, or a negative errno: -E2BIG (hash) and -ENOSPC (trie) where the map is full. */
  put(key: Uint8Array, value: Uint8Array, flags?: number): number;
  /** False where there was no such entry. */
  remove(key: Uint8Array): boolean;
  isEmpty(): boolean;
  /** Values of many keys (rows one after the other); `found[i]` says whether row i was there. */
  getMany(keys: Uint8Array): { readonly values: Uint8Array; readonly found: readonly boolean[] };
  /** Result of each row, 0 or a negative errno. A refused row does not stop the rest. */
  putMany(keys: Uint8Array, values: Uint8Array, flags?: number): Int32Array;
  removeMany(keys: Uint8Array): void;
  /** All entries. Not a snapshot: what changes meanwhile may be there or not. */
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** The keys of all entries, one after the other. */
  keys(): Uint8Array;
  /** Keys of the entries of which `picks` is true, by the entry's value as 32-bit words: without an object for each entry of a large map. */
  keysWhere(picks: (words: Uint32Array, at: number) => boolean): Uint8Array[];
  close(): void;
}

/** Wraps a descriptor that is open; `close` closes it. */
export function kernelMap(name: string, fd: number): KernelMap {
  const native = addon();
  const info = mustHave(native.mapInfo(fd), 'HM_MAP', `asking about the map ${name}`);
  const percpu = info.type === 6 || info.type === 5;
  const keySize = info.keySize;
  const valueSize = percpu ? Math.ceil(info.valueSize / 8) * 8 * native.possibleCpus() : info.valueSize;
  const scratch = new Uint8Array(Math.max(keySize, 8));

  const check = (bytes: Uint8Array, size: number, what: string): void => {
    if (bytes.length !== size) throw new HoneyMeshBug(`a ${what} of the map ${name} has the wrong size`, { size: bytes.length, wanted: size });
  };
  const rowsOf = (keys: Uint8Array): number => {
    const rows = keys.length / keySize;
    if (!Number.isInteger(rows)) throw new HoneyMeshBug(`keys of the map ${name} are cut short`, { bytes: keys.length, keySize });
    return rows;
  };

  const dump = (): MapRows => mustHave(native.mapDump(fd, keySize, valueSize, Math.max(info.maxEntries, 1)), 'HM_MAP', `listing the map ${name}`);

  return {
    name,
    fd,
    keySize,
    valueSize,
    maxEntries: info.maxEntries,
    get(key) {
      check(key, keySize, 'key');
      const value = new Uint8Array(valueSize);
      const result = native.mapLookup(fd, key, value);
      if (result === 0) return value;
      if (result === -ERRNO.ENOENT) return null;
      throw kernelError('HM_MAP', `reading the map ${name}`, result);
    },
    put(key, value, flags = UPDATE.any) {
      check(key, keySize, 'key');
      check(value, valueSize, 'value');
      return native.mapUpdate(fd, key, value, flags);
    },
    remove(key) {
      check(key, keySize, 'key');
      const result = native.mapDelete(fd, key);
      if (result !== 0 && result !== -ERRNO.ENOENT) throw kernelError('HM_MAP', `deleting from the map ${name}`, result);
      return result === 0;
    },
    isEmpty: () => native.mapNextKey(fd, null, scratch) === -ERRNO.ENOENT,
    getMany(keys) {
      const rows = rowsOf(keys);
      const values = new Uint8Array(rows * valueSize);
      const results = new Int32Array(rows);
      if (rows > 0) native.mapLookupMany(fd, keys, values, keySize, valueSize, results);
      return { values, found: Array.from(results, result => result === 0) };
    },
    putMany(keys, values, flags = UPDATE.any) {
      const rows = rowsOf(keys);
      check(values, rows * valueSize, 'list of values');
      const results = new Int32Array(rows);
      if (rows > 0) native.mapUpdateMany(fd, keys, values, keySize, valueSize, flags, results);
      return results;
    },
    removeMany(keys) {
      const results = new Int32Array(rowsOf(keys));
      if (results.length > 0) native.mapDeleteMany(fd, keys, keySize, results);
      const failed = results.find(result => result !== 0 && result !== -ERRNO.ENOENT);
      if (failed !== undefined) throw kernelError('HM_MAP', `deleting from the map ${name}`, failed);
    },
    *entries() {
      const rows = dump();
      for (let at = 0; at < rows.count; at++) {
        yield [rows.keys.subarray(at * keySize, (at + 1) * keySize), rows.values.subarray(at * valueSize, (at + 1) * valueSize)];
      }
    },
    keys() {
      const { count, keys } = dump();
      return keys.subarray(0, count * keySize);
    },
    keysWhere(picks) {
      const { count, keys, values } = dump();
      const words = new Uint32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
      const picked: Uint8Array[] = [];
      for (let at = 0; at < count; at++) if (picks(words, (at * valueSize) >> 2)) picked.push(keys.subarray(at * keySize, (at + 1) * keySize));
      return picked;
    },
    close() {
      const result = native.closeFd(fd);
      if (result !== 0) throw new HoneyMeshBug(`the map ${name} was closed twice`, { why: errnoText(result) });
    },
  };
}

/** A 32-bit key, as the array maps have it. */
export function indexKey(index: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, true);
  return key;
}

export function word(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

export const readWord = (bytes: Uint8Array, at = 0): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);

/** Rows of equal size behind each other. */
export function joined(rows: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(rows.length * size);
  for (const [at, row] of rows.entries()) all.set(row, at * size);
  return all;
}
