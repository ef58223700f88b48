/** The kernel's maps by their pins: all that the daemon needs, and it needs no capability for it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HoneyMeshError } from '../errors.ts';
import { layoutVersionOf } from './codecs.ts';
import { createKernelOnMaps, type KernelClockDeps, type KernelMaps } from './kernel-on-maps.ts';
import { LAYOUT_VERSION, MAP_NAMES, MAPS, type MapName } from './layouts.ts';
import { indexKey, type KernelMap, kernelMap } from './maps.ts';
import { addon, ERRNO, kernelError } from './native.ts';
import type { Kernel } from './port.ts';

export interface PinnedOptions {
  /** The instance's folder in bpffs; the maps lie in it by their names. */
  readonly pinDirectory: string;
}

/** Opens the pinned maps. HM_NOT_FOUND where nothing is pinned, HM_LAYOUT where another version pinned it, HM_NOT_ROOT where the pins are another's. */
export function openPinnedKernel({ pinDirectory }: PinnedOptions, deps: KernelClockDeps): Kernel {
  checkVersion(pinDirectory);
  return createKernelOnMaps(openPinnedMaps(pinDirectory), deps);
}

/** Before the other maps are opened: another version may lack some, and has others of other sizes. */
function checkVersion(pinDirectory: string): void {
  const config = openPinnedMap(pinDirectory, 'config');
  const entry = config.get(indexKey(0));
  config.close();
  const version = entry === null ? 0 : layoutVersionOf(entry);
  if (version === LAYOUT_VERSION) return;
  throw layoutError(
    pinDirectory,
    version === 0 ? 'no loader has finished its work on them' : `they have layout version ${version}, this is version ${LAYOUT_VERSION}`,
  );
}

/** All maps of an instance, whatever wrote into them. */
function openPinnedMaps(pinDirectory: string): KernelMaps {
  const opened: Partial<Record<MapName, KernelMap>> = {};
  try {
    for (const name of MAP_NAMES) {
      const map = openPinnedMap(pinDirectory, name);
      opened[name] = map;
      checkSizes(pinDirectory, name, map);
    }
  } catch (error) {
    closeMaps(opened);
    throw error;
  }
  return opened as KernelMaps;
}

function openPinnedMap(pinDirectory: string, name: MapName): KernelMap {
  const path = join(pinDirectory, name);
  const fd = addon().openPin(path);
  if (fd >= 0) return kernelMap(name, fd);
  if (fd === -ERRNO.ENOENT) {
    const nothing = existsSync(pinDirectory) ? `${path} is missing` : `nothing is pinned at ${pinDirectory}`;
    throw new HoneyMeshError('HM_NOT_FOUND', `the packet filter is not loaded: ${nothing}`, { fix: 'start it: honeymesh run' });
  }
  throw kernelError('HM_BPFFS', `opening ${path}`, fd, 'only root and the user of the daemon may open the pins of an instance');
}

const closeMaps = (maps: Partial<KernelMaps>): void => {
  for (const name of MAP_NAMES) maps[name]?.close();
};

export const layoutError = (pinDirectory: string, why: string): HoneyMeshError =>
  new HoneyMeshError('HM_LAYOUT', `the maps pinned at ${pinDirectory} cannot be used: ${why}`, {
    fix: 'take them off with "honeymesh unload" and start again; the bans come back from the event log',
  });

function checkSizes(pinDirectory: string, name: MapName, map: KernelMap): void {
  const { keySize, valueSize } = MAPS[name];
  const percpu = name === 'stats';
  if (map.keySize !== keySize || (percpu ? map.valueSize % valueSize !== 0 : map.valueSize !== valueSize)) {
    throw layoutError(pinDirectory, `${name} has keys of ${map.keySize} and values of ${map.valueSize} bytes, this version has ${keySize} and ${valueSize}`);
  }
}
