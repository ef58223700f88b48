/** Attributes of an item by kind, with a value where an item of an older version has none. */
import type { Item } from './port.ts';

export const textOf = (item: Item, name: string): string => {
  const value = item[name];
  return typeof value === 'string' ? value : '';
};

export const numberOf = (item: Item, name: string): number => {
  const value = item[name];
  return typeof value === 'number' ? value : 0;
};

export const bytesOf = (item: Item, name: string): Uint8Array => {
  const value = item[name];
  return value instanceof Uint8Array ? value : new Uint8Array(0);
};
