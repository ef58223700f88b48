/** What each operation takes, checked before the daemon acts on it: the socket's other end is not trusted to be our own CLI. */
import { TIERS } from '@honeymesh/intel/evidence';
import * as z from 'zod';
import { HoneyMeshError } from '../errors.ts';
import { MOST_USES } from '../mesh/registrar/invites.ts';
import { LONGEST_TOKEN } from '../mesh/registrar/token.ts';
import { CHANNELS } from '../notify/port.ts';
import { type Call, LINES_PER_IMPORT } from './protocol.ts';

const text = (longest: number) => z.string().max(longest);
const target = text(64);
const ttl = text(32).optional();
const note = text(500).optional();
const time = text(64).optional();
const id = z.int().min(0).optional();
const nothing = z.strictObject({});
const name = text(64);
const place = text(300);
/** Certificates, keys, a full revocation list. */
const base64 = text(80_000);

const ARGUMENTS = {
  status: nothing,
  listBans: z.strictObject({ target: target.optional(), tier: z.enum(TIERS).optional() }),
  addBan: z.strictObject({ target, ttl, note }),
  dryRunBan: z.strictObject({ target }),
  removeBan: z.strictObject({ target }),
  importBans: z.strictObject({ lines: z.array(text(256)).max(LINES_PER_IMPORT), ttl, note }),
  listAllowed: nothing,
  addAllowed: z.strictObject({ target, note }),
  removeAllowed: z.strictObject({ target }),
  listEvents: z.strictObject({
    afterId: id,
    beforeId: id,
    since: time,
    until: time,
    kinds: z.array(text(32)).max(64).optional(),
    source: target.optional(),
    port: z.int().min(0).max(65_535).optional(),
    ascending: z.boolean().optional(),
    limit: z.int().min(1).max(10_000).optional(),
  }),
  logTip: nothing,
  notifyTest: z.strictObject({ channel: z.enum(CHANNELS).optional() }),
  listPeers: nothing,
  explain: z.strictObject({ address: target }),
  pause: z.strictObject({ duration: text(32) }),
  tokenStatus: nothing,
  tokenRotate: z.strictObject({ grace: text(32).optional() }),
  showConfig: nothing,
  hubUse: z.strictObject({
    endpoint: place,
    thing: name,
    certificate: text(1_024),
    key: text(1_024),
    ca: text(1_024).optional(),
    signers: z.array(text(512)).max(4),
  }),
  stop: nothing,
  meshStatus: nothing,
  meshPrepare: z.strictObject({ name: name.optional() }),
  meshInit: z.strictObject({ certificate: base64, rootPublic: base64, cluster: base64, site: name, name: name.optional(), bind: place.optional() }),
  meshInvite: z.strictObject({
    site: name.optional(),
    ttl,
    addresses: z.array(place).max(16).optional(),
    uses: z.int().min(1).max(MOST_USES).optional(),
  }),
  meshInvites: nothing,
  meshCancelInvite: z.strictObject({ id: text(16) }),
  meshJoin: z.strictObject({ token: text(LONGEST_TOKEN), name: name.optional(), bind: place.optional() }),
  meshRotateKey: z.strictObject({ now: z.boolean().optional() }),
  meshRevoke: z.strictObject({ target: name }),
  meshDraftRevocation: z.strictObject({ target: name }),
  meshPublishRevocation: z.strictObject({ key: text(16), list: base64 }),
  meshLeave: z.strictObject({ registrar: z.boolean().optional() }),
} as const satisfies Readonly<Record<Call, z.ZodType>>;

/** The arguments, or an HM_USAGE error that names what is wrong with them. */
export function checkArguments(call: Call, args: unknown): unknown {
  const checked = ARGUMENTS[call].safeParse(args);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new HoneyMeshError('HM_USAGE', `${call}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'wrong arguments'}`.slice(0, 300), {
    fix: 'the CLI and the daemon may be of different versions: "honeymesh status" shows the daemon\'s',
  });
}
