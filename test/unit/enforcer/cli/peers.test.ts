import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliLab, openCliLab } from '#test/support/cli.ts';
import { fakeOperations, peerRow } from '#test/support/fake-operations.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

test('the human form of the peers names who they are, and shouts of who has no certificate', async () => {
  const stranger = {
    ...peerRow,
    name: 'go\u001b[2J',
    signed: false,
    site: null,
    key: null,
    answeredAt: null,
    trust: null,
    adviceAccepted: 0,
    adviceRefused: 0,
  };
  await lab.serve(fakeOperations({ listPeers: () => Promise.resolve([peerRow, stranger]) }));
  expect((await lab.run('peers list')).out.split('\n').slice(0, 3)).toEqual([
    'NAME         ADDRESS            STATE  SIGNED  SITE  KEY               ANSWERED                  TRUST  ACCEPTED  REFUSED',
    'h2           198.51.100.2:7946  alive  yes     lab   edc08893c67763f2  2026-11-24T12:00:00.000Z   0.95         7        1',
    'go\\u001b[2J  198.51.100.2:7946  alive  NO      -     -                 never                         -         0        0',
  ]);
  expect((await lab.run('status')).out).toMatch(/^mesh +joined; 2 peers alive; as h1 \(home\); signatures required$/m);
});
