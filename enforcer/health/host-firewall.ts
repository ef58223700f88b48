/**
 * Whether this host's own firewall drops what is steered to a trap: a packet to a closed port goes through the input hook under that port's number, and a
 * policy of "drop" does not know that something listens. It is read and never changed; what would admit it is said. Pure.
 */
export interface Obstacle {
  /** The chain, and what in it drops. */
  readonly where: string;
  /** The line that admits traps and nothing else. */
  readonly fix: string;
}

export interface FirewallOptions {
  /** Those that the packet filter guards. */
  readonly interfaces: readonly string[];
  /** SO_MARK of the traps' sockets. */
  readonly mark: number;
}

type Verdict = 'accept' | 'drop' | null;
type Fields = Readonly<Record<string, unknown>>;

const DEEPEST = 16; // chains that jump to chains

/** Chains of the input hook that drop what is steered, in what `nft -j list ruleset` prints. Nothing where that cannot be read. */
export function nftObstacles(text: string, options: FirewallOptions): readonly Obstacle[] {
  const rows = rowsOf(text);
  const chains = new Map(rows.flatMap(row => (isObject(row.chain) ? [[nameOf(row.chain), row.chain] as const] : [])));
  const rules = rows.flatMap(row => (isObject(row.rule) ? [row.rule] : []));

  function verdictOf(chain: string, depth: number): Verdict | 'admits' {
    for (const rule of rules) {
      if (nameOf(rule) !== chain) continue;
      const statements = listOf(rule.expr).filter(isObject);
      if (statements.some(statement => admitsTraps(statement)) && statements.some(statement => 'accept' in statement)) return 'admits';
      if (!statements.every(statement => mayMatch(statement, options))) continue;
      const verdict = depth >= DEEPEST ? null : ruleVerdict(rule, statements, depth);
      if (verdict !== null) return verdict;
    }
    return null;
  }

  function ruleVerdict(rule: Fields, statements: readonly Fields[], depth: number): Verdict | 'admits' {
    for (const statement of statements) {
      if ('drop' in statement || 'reject' in statement || isTarget(statement)) return 'drop';
      if ('accept' in statement) return 'accept';
      const target = fieldOf(statement.jump ?? statement.goto, 'target');
      if (typeof target === 'string') return verdictOf(`${rule.family} ${rule.table} ${target}`, depth + 1);
    }
    return null;
  }

  return [...chains].flatMap(([name, chain]) => {
    if (chain.hook !== 'input' || chain.type !== 'filter') return [];
    const verdict = verdictOf(name, 0) ?? (chain.policy === 'drop' ? 'policy' : 'accept');
    if (verdict !== 'drop' && verdict !== 'policy') return [];
    const where = `nftables, chain ${name}: ${verdict === 'policy' ? 'its policy is drop' : 'a rule drops or rejects what no other accepts'}`;
    return [{ where, fix: nftFix(chain, options.mark) }];
  });
}

/** What `iptables-save` or `ip6tables-save` prints, for the old kind of tables, which nft does not show. */
export function iptablesObstacles(text: string, command: 'iptables' | 'ip6tables', options: FirewallOptions): readonly Obstacle[] {
  const filter = /^\*filter$([\s\S]*?)^COMMIT$/m.exec(text)?.[1] ?? '';
  const lines = filter.split('\n');

  function verdictOf(chain: string, depth: number): Verdict | 'admits' {
    for (const line of lines) {
      if (!line.startsWith(`-A ${chain} `)) continue;
      const target = / -[jg] (\S+)/.exec(line)?.[1] ?? '';
      if (/ -m socket\b/.test(line) && target === 'ACCEPT') return 'admits';
      if (!mayMatchLine(line, options.interfaces)) continue;
      if (target === 'ACCEPT') return 'accept';
      if (target === 'DROP' || target === 'REJECT') return 'drop';
      const verdict = depth < DEEPEST && lines.some(other => other.startsWith(`:${target} `)) ? verdictOf(target, depth + 1) : null;
      if (verdict !== null) return verdict;
    }
    return null;
  }

  const policy = /^:INPUT (\S+)/m.exec(filter)?.[1];
  const verdict = verdictOf('INPUT', 0) ?? (policy === 'DROP' ? 'policy' : 'accept');
  if (verdict !== 'drop' && verdict !== 'policy') return [];
  const where = `${command}, chain INPUT: ${verdict === 'policy' ? 'its policy is DROP' : 'a rule drops or rejects what no other accepts'}`;
  return [{ where, fix: filter.includes('ufw-before-input') || filter.includes('ufw6-before-input') ? UFW_FIX : iptablesFix(command) }];
}

const iptablesFix = (command: string): string => `to admit traps, and nothing else: ${command} -I INPUT -m socket --transparent --nowildcard -j ACCEPT`;
const UFW_FIX =
  'to admit traps, and nothing else: put "-A ufw-before-input -m socket --transparent --nowildcard -j ACCEPT" before the other rules of /etc/ufw/before.rules (with ufw6-before-input into before6.rules), then "ufw reload"';

function nftFix(chain: Fields, mark: number): string {
  const { family, table, name } = chain;
  if ((family === 'ip' || family === 'ip6') && table === 'filter' && name === 'INPUT') return iptablesFix(family === 'ip' ? 'iptables' : 'ip6tables');
  return `to admit traps, and nothing else: nft insert rule ${family} ${table} ${name} socket mark 0x${mark.toString(16)} accept`;
}

/** Matches on the socket: that is what the line looks like which admits traps. iptables' own appear as `xt`. */
const admitsTraps = (statement: Fields): boolean =>
  fieldOf(fieldOf(statement.match, 'left'), 'socket') !== undefined || fieldOf(statement.xt, 'name') === 'socket';

/** iptables' own way to refuse, as nft shows it. */
const isTarget = (statement: Fields): boolean => fieldOf(statement.xt, 'type') === 'target' && fieldOf(statement.xt, 'name') === 'REJECT';

/** Whether a statement lets the first packet to some closed port through to the rule's verdict: what asks for ports, addresses or rates does not. */
function mayMatch(statement: Fields, { interfaces }: FirewallOptions): boolean {
  if (isTarget(statement)) return true;
  if ('xt' in statement || 'limit' in statement || 'vmap' in statement) return false;
  if (!isObject(statement.match)) return true;
  const { left, op, right } = statement.match;
  const values = listOf(fieldOf(right, 'set') ?? right).map(String);
  const meta = fieldOf(fieldOf(left, 'meta'), 'key');
  const hit = (wanted: readonly string[]): boolean => values.some(value => wanted.includes(value)) !== (op === '!=');
  if (meta === 'iifname' || meta === 'iif')
    return op === '!=' ? !interfaces.every(name => values.includes(name)) : interfaces.some(name => values.includes(name));
  if (meta === 'l4proto' || fieldOf(fieldOf(left, 'payload'), 'field') === 'protocol') return hit(['tcp', 'udp', '6', '17']);
  if (meta === 'nfproto') return true;
  if (fieldOf(fieldOf(left, 'ct'), 'key') === 'state') return hit(['new']);
  return false;
}

function mayMatchLine(line: string, interfaces: readonly string[]): boolean {
  const device = / (! )?-i (\S+)/.exec(line);
  if (device !== null && interfaces.includes(device[2] ?? '') === (device[1] !== undefined)) return false;
  const states = / --(?:ctstate|state) (\S+)/.exec(line)?.[1];
  if (states !== undefined && !states.split(',').includes('NEW')) return false;
  const protocol = / -p (\S+)/.exec(line)?.[1];
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') return false;
  const rest = line
    .replace(/ -m (conntrack|state|tcp|udp|comment)\b/g, '')
    .replace(/ --comment ("[^"]*"|\S+)/, '')
    .replace(/ --(ctstate|state) \S+/, '')
    .replace(/ (! )?-i \S+/, '')
    .replace(/ -p \S+/, '')
    .replace(/ --reject-with \S+/, '')
    .replace(/^-A \S+/, '')
    .replace(/ -[jg] \S+/, '');
  return rest.trim() === '';
}

function rowsOf(text: string): readonly Fields[] {
  try {
    return listOf(fieldOf(JSON.parse(text), 'nftables')).filter(isObject);
  } catch {
    return [];
  }
}

const nameOf = (of: Fields): string => `${String(of.family)} ${String(of.table)} ${String(of.chain ?? of.name)}`;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const fieldOf = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
