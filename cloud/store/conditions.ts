/** Conditions of the port as DynamoDB's expressions. Names and values are placeholders throughout: reserved words, and nothing of a host's in an expression. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { toAttribute } from './attribute-values.ts';
import type { Clause } from './port.ts';
import { TABLES, type TableName } from './tables.ts';

export interface Expression {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

const SIGNS = { equal: '=', less: '<', more: '>' } as const;

/** An item that has ended counts as absent, though DynamoDB may keep it for two days more. */
export function conditionExpression(table: TableName, clauses: readonly Clause[], nowMs: number): Expression {
  const names: Record<string, string> = { '#key': TABLES[table].partition.name };
  const values: Record<string, AttributeValue> = {};
  const ends = 'ttl' in TABLES[table];
  const placeholderOf = (value: string | number): string => {
    const name = `:v${Object.keys(values).length}`;
    values[name] = toAttribute(value);
    return name;
  };
  const nameOf = (attribute: string): string => {
    const name = `#n${Object.keys(names).length}`;
    names[name] = attribute;
    return name;
  };
  const endsName = ends ? nameOf('expiresAt') : '';
  const nowName = ends ? placeholderOf(nowMs) : '';
  const absent = ends ? `(attribute_not_exists(#key) OR ${endsName} <= ${nowName})` : 'attribute_not_exists(#key)';
  const alive = ends ? `(attribute_not_exists(${endsName}) OR ${endsName} > ${nowName})` : '';
  const parts = clauses.map(clause => {
    if (clause.is === 'absent') return absent;
    if (clause.is === 'absent-or-less') return `(${absent} OR ${nameOf(clause.attribute)} < ${placeholderOf(clause.value)})`;
    const compared = `${nameOf(clause.attribute)} ${SIGNS[clause.is]} ${placeholderOf(clause.value)}`;
    return ends ? `(${compared} AND ${alive})` : compared;
  });
  const used = parts.join(' AND ');
  return {
    ConditionExpression: used,
    ExpressionAttributeNames: Object.fromEntries(Object.entries(names).filter(([name]) => used.includes(name))),
    // DynamoDB refuses an expression with placeholders that it does not use.
    ...(Object.keys(values).length > 0
      ? { ExpressionAttributeValues: Object.fromEntries(Object.entries(values).filter(([name]) => used.includes(name))) }
      : {}),
  };
}
