/** The keys of `dashboard`: where it listens, and with which certificate. */
import * as z from 'zod';
import { list } from './fields.ts';
import { bindPlaceOrOff, DASHBOARD_PORT, type Place } from './mesh-fields.ts';
import { bad } from './wording.ts';

/** What never is a trap, nor counts as scanned: browsers come there. On loopback nobody from outside does. */
export function dashboardPorts({ bind }: { readonly bind: Place | 'off' }): { readonly tcp: readonly number[]; readonly udp: readonly number[] } {
  const isReached = bind !== 'off' && bind.host !== '::1' && !bind.host.startsWith('127.');
  return { tcp: isReached ? [bind.port] : [], udp: [] };
}

const SERVER_NAME = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*)$/i;
const NAME_FORM = 'a name or an address such as board.example';

/** A name or an address that a certificate may bear. */
const serverName = z
  .string({ error: issue => bad(issue.input, NAME_FORM) })
  .regex(SERVER_NAME, { error: issue => bad(issue.input, NAME_FORM) })
  .meta({ title: 'name or address' });

/** Absolute: the daemon runs in another folder than whoever wrote it. */
const pemFile = z
  .string({ error: issue => bad(issue.input, 'the path of a file') })
  .max(4_096, { error: 'is longer than 4096 characters' })
  .regex(/^\/[^\0]*$/, { error: issue => bad(issue.input, 'an absolute path such as /etc/honeymesh/board.pem') })
  .meta({ title: 'absolute path' });

const shape = {
  bind: bindPlaceOrOff(
    `127.0.0.1:${DASHBOARD_PORT}`,
    DASHBOARD_PORT,
    'Where dashboard and API listen (HTTPS): an address of this host, `0.0.0.0:8443` for all of them, or `off`. On loopback no scanner learns that this host has ' +
      'traps; `ssh -L 8443:127.0.0.1:8443 HOST` leads there. A port from 1024 on: the daemon may open no lower one.',
  ),
  names: list(serverName, 'a list of names and addresses such as [board.example, 198.51.100.9]', 32)
    .prefault([])
    .meta({ description: "Names and addresses that its self-signed certificate bears besides the host's own." }),
  certificate: pemFile.optional().meta({
    description: 'A certificate of your own with its chain (PEM), read again when it changes. Without it: a self-signed one, made and renewed by itself.',
  }),
  key: pemFile.optional().meta({ description: 'The key of that certificate (PEM, unencrypted), readable by the user of the daemon.' }),
};

export const dashboard = z
  .strictObject(shape, {
    error: issue => (issue.code === 'invalid_type' ? bad(issue.input, `the keys ${Object.keys(shape).join(', ')}`) : undefined),
  })
  .superRefine(({ certificate, key }, context) => {
    if ((certificate === undefined) === (key === undefined)) return;
    if (key === undefined) context.addIssue({ code: 'custom', path: ['key'], message: 'is missing: a certificate needs its key' });
    else context.addIssue({ code: 'custom', path: ['certificate'], message: 'is missing: a key needs its certificate' });
  })
  .meta({ description: 'Dashboard, API and metrics.' })
  .prefault({});
