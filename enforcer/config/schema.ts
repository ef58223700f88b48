/** The configuration file: every key with its default, its bounds and what it is for. The reference and the JSON Schema are made from it. */
import { bitsOf } from '@honeymesh/intel/address';
import { PATIENCES } from '@honeymesh/intel/bans';
import { MODES } from '@honeymesh/intel/evidence';
import { NOT_SHARED_BY_DEFAULT } from '@honeymesh/intel/special-ranges';
import * as z from 'zod';
import { dashboard } from './dashboard-fields.ts';
import { count, duration, interfaceName, list, oneOf, portRange, prefixes, wordOrPorts } from './fields.ts';
import { hubEndpoint, hubSigners, hubThing, pemPath } from './hub-fields.ts';
import { advertisedPlace, bindPlace, groupKey, MESH_PORT, meshLabel, meshName, meshSignatures, meshSite, peerPlaces, REGISTRAR_PORT } from './mesh-fields.ts';
import {
  hookComplaint,
  hookSecret,
  hookUrl,
  notifyKinds,
  secretPath,
  syslogFacility,
  syslogServer,
  syslogTransport,
  webhookComplaint,
} from './notify-fields.ts';
import { bad } from './wording.ts';

/** HM_SLOTS of bpf/honeymesh_consts.h: a tracker remembers so many ports exactly. */
const MOST_PORTS = 32;
const MOST_PER_SECOND = 10_000_000;
const OFF = 'off';
/** Each takes a file descriptor and some kilobytes. */
const MOST_SESSIONS = 65_536;

function group<Shape extends z.core.$ZodLooseShape>(shape: Shape, about: string, check?: (value: z.output<z.ZodObject<Shape>>) => Complaint | undefined) {
  const object = z.strictObject(shape, {
    error: issue => (issue.code === 'invalid_type' ? bad(issue.input, `the keys ${Object.keys(shape).join(', ')}`) : undefined),
  });
  return object
    .superRefine((value, context) => {
      const complaint = check?.(value as z.output<z.ZodObject<Shape>>);
      if (complaint !== undefined) context.addIssue({ code: 'custom', path: [complaint.key], message: complaint.message });
    })
    .meta({ description: about });
}

interface Complaint {
  readonly key: string;
  readonly message: string;
}

const fast = group(
  {
    ports: count(3, {
      min: 1,
      max: MOST_PORTS,
      about: 'So many distinct closed ports of this host within `window` are a scan. Raise it where clients probe several ports by design.',
    }),
    window: duration('60s', { min: '1s', max: '1h', about: 'Length of the fast window.' }),
  },
  'The fast scan: many closed ports in a short time.',
).prefault({});

const slow = group(
  {
    ports: count(25, { min: 1, max: MOST_PORTS, about: 'So many distinct closed ports within `window` are a slow scan.' }),
    window: duration('24h', { min: '1s', max: '30d', about: 'Length of the slow window. nmap -T0 sends a probe every 300 s: 24h sees it.' }),
  },
  'The slow scan: a port now and then.',
).prefault({});

const shun = group(
  {
    ttl: duration('60s', {
      min: '1s',
      max: '24h',
      about: 'How long new connections of a source that scanned or flooded are dropped at first. It doubles with each repeat.',
    }),
    longest: duration('600s', { min: '1s', max: '24h', about: 'The longest shun. Its evidence can be spoofed: keep it short.' }),
  },
  'What the kernel does alone, on evidence that can be spoofed.',
  value => (value.longest < value.ttl ? { key: 'longest', message: 'is shorter than detect.shun.ttl' } : undefined),
).prefault({});

const flood = group(
  {
    syn: count(200, {
      min: 0,
      max: MOST_PER_SECOND,
      about: 'SYNs of one source a second; 0: off. Raise it behind a reverse proxy or NAT whose clients share an address.',
    }),
    udp: count(1_000, { min: 0, max: MOST_PER_SECOND, about: 'Datagrams of one source to closed UDP ports a second; 0: off.' }),
    echo: count(100, { min: 0, max: MOST_PER_SECOND, about: 'ICMP echo requests of one source a second; 0: off.' }),
    openUdp: count(0, {
      min: 0,
      max: MOST_PER_SECOND,
      about: 'Datagrams of one source to open UDP ports a second, above which the excess is dropped; 0: off, since QUIC, WireGuard and RTP are not attacks.',
    }),
  },
  'Rates of one source a second, above which it is shunned.',
).prefault({});

const detect = group(
  {
    fast,
    slow,
    shun,
    flood,
    newSources: count(10_000, { min: 1, max: MOST_PER_SECOND, about: 'New sources a second, above which only one in 16 is still tracked: the flood guard.' }),
    events: count(2_000, { min: 1, max: 1_000_000, about: 'Events a second that each CPU may report; the rest is counted only.' }),
    proven: duration('1h', { min: '0s', max: '30d', about: 'How long a source that completed a handshake with a real service is policed instead of shunned.' }),
  },
  'What counts as a scan or a flood.',
  value => (value.slow.window < value.fast.window ? { key: 'slow', message: 'its window is shorter than that of detect.fast' } : undefined),
).prefault({});

const bans = group(
  {
    capacity: count(65_536, {
      min: 10_000,
      max: 1_048_576,
      about: 'Room for banned addresses in the kernel, for IPv4 and for IPv6 each. Read when the maps are made: `honeymesh unload` first to change it.',
    }),
    touch: duration('4h', {
      min: '1s',
      max: '3650d',
      about: 'First ban of a source that completed a handshake with a trap (E1). It doubles with each repeat.',
    }),
    content: duration('24h', {
      min: '1s',
      max: '3650d',
      about: 'First ban of a source that tried credentials or sent an exploit there (E2). It doubles with each repeat.',
    }),
    longest: duration('30d', { min: '1s', max: '3650d', about: 'The longest ban that evidence earns. A ban by order ends when the order says.' }),
    memory: duration('30d', { min: '0s', max: '3650d', about: 'How long an offence is remembered after its ban ended.' }),
    aggregate: count(32, {
      min: 0,
      max: 256,
      about: 'So many banned addresses of one IPv4 /24, all with proof, become one ban of the /24 if nobody else is hit; 0: never.',
    }),
    widen: count(4, {
      min: 0,
      max: 256,
      about: 'So many banned IPv6 /64 of one /56 (then /48), all with proof, become one ban if nobody else is hit; 0: never.',
    }),
  },
  'How long, how many and how wide.',
  value => {
    const longer = (['touch', 'content'] as const).find(key => value[key] > value.longest);
    return longer === undefined ? undefined : { key: longer, message: 'is longer than bans.longest' };
  },
).prefault({});

const study = group(
  {
    time: duration('10m', { min: '1s', max: '24h', about: 'From the first touch to the full ban, whatever the source does.' }),
    sessions: count(20, { min: 1, max: 10_000, about: 'So many sessions with traps, then the full ban.' }),
  },
  'How long `patience: study` listens.',
).prefault({});

const traps = group(
  {
    ports: wordOrPorts(
      ['typical', 'all', OFF],
      'typical',
      1_024,
      "Closed ports that lead to a trap while nothing real listens there. `typical`: a believable choice of TCP and UDP ports, of this host's own and always " +
        'the same; `all`: every port (65,535 open ports tell an attacker what they are); `off`; or a list such as `[22, "8000-8010", "161/udp"]`: TCP where it ' +
        'does not say.',
    ),
    patience: oneOf(
      PATIENCES,
      'listen',
      '`listen`: a source that touched a trap reaches traps and nothing else until it sent something hostile, touched a third port or its session ended; then it ' +
        'is banned. `instant`: it is banned at the first touch and heard no further. `study`: it is listened to for as long as `traps.study` says.',
    ),
    deadline: duration('3s', {
      min: '100ms',
      max: '10m',
      about: 'Silence that ends a session, from the last complete message: a byte now and then does not extend it.',
    }),
    session: duration('60s', { min: '100ms', max: '1h', about: 'The longest session. With `patience: listen` the full ban comes after it at the latest.' }),
    sessions: count(16_384, { min: 16, max: MOST_SESSIONS, about: 'Sessions with traps at once; what comes beyond is recorded and closed.' }),
    sessionsPerSource: count(64, { min: 1, max: MOST_SESSIONS, about: 'Sessions of one source at once.' }),
    study,
  },
  'Decoys on closed ports.',
  value => {
    if (value.session < value.deadline) return { key: 'session', message: 'is shorter than traps.deadline' };
    return value.sessionsPerSource > value.sessions ? { key: 'sessionsPerSource', message: 'is more than traps.sessions' } : undefined;
  },
).prefault({});

const mesh = group(
  {
    bind: bindPlace(MESH_PORT, 'Where this member listens, over UDP and TCP: an address and a port. `[::]:7946` is both families.'),
    advertise: advertisedPlace.meta({
      description: 'The address under which others reach this host, where it is not one of its own (NAT). Without it: the one bound.',
    }),
    join: peerPlaces,
    key: groupKey.meta({
      description:
        'The key of the group, the same on all members; without one the members speak in clear. It begins an empty keyring: once `mesh init`, `mesh join` or ' +
        'a rotation has kept keys, those count (`config check` says so).',
    }),
    label: meshLabel.meta({ description: 'Tells meshes on one network apart: members with another label are not heard. It is no secret.' }),
    name: meshName.meta({ description: "This member's name, unique in the mesh. Without it: the host's name. With a certificate, the name in it counts." }),
    site: meshSite.meta({ description: 'The site that `mesh init` certifies this host for: hosts that fall together are one site, and have one vote.' }),
    signatures: meshSignatures.meta({
      description:
        '`off`: members are not told apart, nobody advises; `preferred`: who has no certificate is a member whose advice is refused; `required`: who has none is no ' +
        'member. Without it: `required` once this host has a certificate, `off` before.',
    }),
    quorum: group(
      {
        sites: count(2, {
          min: 1,
          max: 100,
          about: 'So many sites (hosts, where the mesh has one site) must advise a ban for more than a provisional one of 10 minutes.',
        }),
      },
      'How many must say so.',
    ).prefault({}),
    profile: oneOf(['lan', 'wan', 'local'], 'lan', 'How patient failure detection is: `wan` for members far apart, `local` for one machine.'),
    registrar: bindPlace(REGISTRAR_PORT, 'Where a registrar listens for hosts that join or renew (HTTPS); on other hosts nothing does.'),
  },
  'Peers that warn each other. Without this group, and without a membership by `mesh init` or `mesh join`: off.',
).optional();

const hub = group(
  {
    endpoint: hubEndpoint.meta({ description: 'Where the hub takes MQTT with mutual TLS; without a port: 8883.' }),
    thing: hubThing.meta({ description: "This host's name in the mesh, under which it was enrolled." }),
    certificate: pemPath.meta({ description: 'Its certificate for the hub.' }),
    key: pemPath.meta({ description: 'The private key of it, made on this host.' }),
    ca: pemPath.optional().meta({ description: "The root of the endpoint's certificate. Without it: the system's." }),
    signers: hubSigners.meta({ description: "Whose signature makes an advisory the hub's; two while its key is changed." }),
  },
  'A hub in the cloud that passes on what hosts sign. Written by `hub enrol`. Without this group: off.',
).optional();

const notify = group(
  {
    kinds: notifyKinds.meta({ description: 'Kinds of event that are told.' }),
    gather: duration('2s', { min: '0s', max: '10m', about: 'How long events are gathered before the first message, so that a burst is one.' }),
    every: duration('5m', { min: '1s', max: '24h', about: 'At most one message in so long a time: what happens meanwhile is in the next one.' }),
    webhook: group(
      {
        url: hookUrl.meta({ description: 'Where to POST. A secret: not shown.' }),
        urlFile: secretPath.meta({ description: 'A file that holds the URL instead.' }),
        secret: hookSecret.meta({ description: 'Signs the messages (HMAC-SHA-256). Not shown.' }),
        secretFile: secretPath.meta({ description: 'A file that holds the secret instead; read for each message.' }),
        ca: secretPath.meta({ description: "The root of the server's certificate. Without it: the system's." }),
      },
      'A server that takes signed JSON (Standard Webhooks).',
      webhookComplaint as never,
    ).optional(),
    slack: group(
      {
        url: hookUrl.meta({ description: 'The incoming webhook. A secret: not shown.' }),
        urlFile: secretPath.meta({ description: 'A file that holds the URL instead.' }),
        ca: secretPath.meta({ description: "The root of the server's certificate. Without it: the system's." }),
      },
      'A chat that takes what Slack takes (Mattermost, Rocket.Chat, Discord with /slack).',
      hookComplaint as never,
    ).optional(),
    syslog: group(
      {
        server: syslogServer.meta({ description: 'Who takes RFC 5424. Without a port: 6514 (tls), 601 (tcp), 514 (udp).' }),
        transport: syslogTransport,
        facility: syslogFacility,
        ca: secretPath.meta({ description: "The root of the server's certificate. Without it: the system's." }),
      },
      'A syslog server.',
    ).optional(),
  },
  'Who is told what happens. Without this group: nobody.',
).optional();

export const configSchema = group(
  {
    interfaces: list(interfaceName, 'a list of network interfaces such as [eth0]', 16)
      .min(1, { error: 'names no interface: give a list such as [eth0], or take the line out' })
      .optional()
      .meta({ description: 'Network interfaces to protect. Without it: the interface of the default route.' }),
    mode: oneOf(
      MODES,
      'enforce',
      '`observe` decides and records and drops nothing; `enforce` drops; `lockdown` also lets only allow-listed and proven sources open connections.',
    ),
    allow: prefixes([], 512, 'Addresses and prefixes that are never dropped, whatever they do. The allow-list wins in the kernel.'),
    services: group(
      {
        ports: list(portRange, 'a list of ports such as [443, "53/udp", "8000-8100"]', 256)
          .prefault([])
          .meta({ description: 'Ports that are served though no local socket says so (containers, forwarded ports): a number (TCP), `53/udp`, `8000-8100`.' }),
        grace: duration('24h', {
          min: '0s',
          max: '30d',
          about: 'A port counts as served for so long after its listener went: a restart of a web server bans nobody.',
        }),
      },
      'What this host really serves.',
    ).prefault({}),
    traps,
    xdp: group(
      {
        mode: oneOf(['auto', 'native', 'generic'], 'auto', '`auto` tries native (in the driver) and falls back to generic, and says which.'),
      },
      'How the packet filter is attached.',
    ).prefault({}),
    egress: z
      .union([z.enum(['drop', OFF]), z.literal(false).transform((): typeof OFF => OFF)], { error: issue => bad(issue.input, 'drop or off') })
      .prefault('drop')
      .meta({ description: '`drop`: nothing leaves for a banned address either, so that what got in before the ban cannot call home.' }),
    detect,
    bans,
    share: group(
      {
        never: prefixes(
          NOT_SHARED_BY_DEFAULT.map(range => range.prefix),
          512,
          'Bans inside these prefixes stay on this host: private and documentation ranges mean something else on each network.',
        ),
      },
      'What may be told to others.',
    ).prefault({}),
    mesh,
    hub,
    notify,
    dashboard,
    store: group(
      {
        retention: duration('90d', {
          min: '1h',
          max: '3650d',
          about: 'How long events are kept. Whole sealed segments go, so that what is left can still be verified.',
        }),
        segment: count(100_000, {
          min: 100,
          max: 1_000_000,
          about: 'Events in a segment of the log before it is sealed and indexed; the open one is read as a whole.',
        }),
      },
      'The event log.',
    ).prefault({}),
    log: group(
      {
        level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info', 'From which level on the daemon writes to its log.'),
      },
      "The daemon's own log.",
    ).prefault({}),
  },
  'HoneyMesh configuration',
  value => {
    const everybody = value.allow.find(target => bitsOf(target) === 0);
    return everybody === undefined
      ? undefined
      : { key: 'allow', message: `${everybody} is everybody: to decide and record without dropping set "mode: observe"` };
  },
);

export type { Config } from './config.ts';
export type ConfigFile = z.output<typeof configSchema>;
