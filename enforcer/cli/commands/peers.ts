/** `honeymesh peers list`. */
import type { Command } from 'commander';
import type { PeerRow } from '../../mesh/port.ts';
import { type Context, show, withDaemon } from '../context.ts';
import { outputOption } from '../options.ts';
import { table } from '../terminal.ts';

const PEER_JSON =
  '{name, address, state: "alive"|"suspect"|"dead"|"left", signed: true|false, site|null, key|null, answeredAt|null, trust: 0..1|null, adviceAccepted, adviceRefused}';

export function addPeers(program: Command, context: Context): void {
  const peers = program.command('peers').description('the other members of the mesh');

  peers
    .command('list')
    .description('who they are, whether they live, and how far this host believes them')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nsigned: it has a certificate of this mesh; without one its advice is refused. key: as the log names it. What was accepted and refused counts since the daemon started.\nJSON: [${PEER_JSON}]`,
    )
    .action(async (_options: unknown, command: Command) => {
      const rows = await withDaemon(command, context, daemon => daemon.listPeers());
      show(command, context, rows, list => peersText(list, context));
    });
}

function peersText(rows: readonly PeerRow[], { terminal }: Context): string {
  if (rows.length === 0) return 'no other members\n';
  return table(
    rows,
    [
      { title: 'NAME', of: row => row.name },
      { title: 'ADDRESS', of: row => row.address },
      { title: 'STATE', of: row => row.state },
      { title: 'SIGNED', of: row => (row.signed ? 'yes' : 'NO') },
      { title: 'SITE', of: row => row.site ?? '-' },
      { title: 'KEY', of: row => row.key ?? '-' },
      { title: 'ANSWERED', of: row => row.answeredAt ?? 'never' },
      { title: 'TRUST', of: row => row.trust?.toFixed(2) ?? '-', right: true },
      { title: 'ACCEPTED', of: row => String(row.adviceAccepted), right: true },
      { title: 'REFUSED', of: row => String(row.adviceRefused), right: true },
    ],
    terminal,
  );
}
