/**
 * What IoT Core would say to a session, by the policy document alone: an evaluator of our own, against which brokers are checked too. After AWS's own
 * words: a matching Deny wins, else a matching Allow, else no; `*` and `?` are wildcards, `+` and `#` are not; a statement with a variable that has no
 * value matches nothing.
 */

export type Action = 'iot:Connect' | 'iot:Publish' | 'iot:Subscribe' | 'iot:Receive' | 'iot:RetainPublish';

export interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface Policy {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

export interface Session {
  readonly clientId: string;
  /** Names of the things that the certificate is attached to. */
  readonly things: readonly string[];
}

const ARN = 'arn:aws:iot:us-east-1:000000000000:';

/** `resource` without the ARN's head: `client/x`, `topic/x`, `topicfilter/x`. */
export function permits(policy: Policy, session: Session, action: Action, resource: string): boolean {
  const variables = variablesOf(session);
  const matching = policy.Statement.filter(statement => {
    const { Condition = {} } = statement;
    return (
      listed(statement.Action).some(pattern => matches(pattern, action, {})) &&
      listed(statement.Resource).some(pattern => matches(pattern, ARN + resource, variables)) &&
      Object.entries(Condition).every(([operator, keys]) => holds(operator, keys, variables))
    );
  });
  return matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny');
}

type Variables = Readonly<Record<string, string>>;

/** A thing's name is known only where it is the client id and the certificate is attached to it. */
function variablesOf({ clientId, things }: Session): Variables {
  const attached = things.includes(clientId);
  return { 'iot:ClientId': clientId, 'iot:Connection.Thing.IsAttached': String(attached), ...(attached ? { 'iot:Connection.Thing.ThingName': clientId } : {}) };
}

function holds(operator: string, keys: Readonly<Record<string, string | readonly string[]>>, variables: Variables): boolean {
  return Object.entries(keys).every(([key, wanted]) => {
    const value = variables[key];
    if (value === undefined) return false;
    switch (operator) {
      case 'Bool':
        return listed(wanted).some(word => word.toLowerCase() === value);
      case 'StringEquals':
        return listed(wanted).includes(value);
      default:
        throw new Error(`the evaluator knows no condition ${operator}`);
    }
  });
}

function matches(pattern: string, text: string, variables: Variables): boolean {
  let unknown = false;
  const expression = pattern.replace(/\$\{([^}]*)\}|[*?]|[\\^$.|+()[\]{}]/g, (found, name: string | undefined) => {
    if (name === undefined) return found === '*' ? '.*' : found === '?' ? '.' : `\\${found}`;
    const value = variables[name];
    if (value === undefined) unknown = true;
    return (value ?? '').replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
  });
  return !unknown && new RegExp(`^${expression}$`, 's').test(text);
}

const listed = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
