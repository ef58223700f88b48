/** Items of the port as DynamoDB's attribute values and back. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item, Value } from './port.ts';

export function toAttribute(value: Value): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value instanceof Uint8Array) return { B: value };
  return { L: value.map(each => ({ S: each })) };
}

/** Undefined: a kind of value that no table of ours has. */
export function fromAttribute(attribute: AttributeValue): Value | undefined {
  if (attribute.S !== undefined) return attribute.S;
  if (attribute.N !== undefined) return Number(attribute.N);
  if (attribute.BOOL !== undefined) return attribute.BOOL;
  if (attribute.B !== undefined) return attribute.B;
  return attribute.L?.map(each => each.S ?? '');
}

export const toAttributes = (item: Item): Record<string, AttributeValue> =>
  Object.fromEntries(Object.entries(item).map(([name, value]) => [name, toAttribute(value)]));

export function fromAttributes(attributes: Readonly<Record<string, AttributeValue>>): Item {
  const item: Record<string, Value> = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = fromAttribute(attribute);
    if (value !== undefined) item[name] = value;
  }
  return item;
}
