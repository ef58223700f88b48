/** The two ends of the wire in the reaction bench: who acts and sends on, and who hears what came through. */
import { answering, HOST, SERVED_PORT, TRAP_PORT } from '#test/support/chaos-wire.ts';
import type { Namespace } from '#test/support/namespaces.ts';

export interface Act {
  readonly source: string;
  /** When the last packet of the handshake came in, by the kernel. */
  readonly actedNs: number;
  /** When the last datagram that came through and the first that did not were sent. Null: all that were sent came through. */
  readonly lastThroughNs: number | null;
  readonly firstDroppedNs: number | null;
}

export interface ActsOptions {
  readonly sources: readonly string[];
  /** Between two datagrams. */
  readonly gapUs: number;
  /** How long the attacker goes on after it began to connect. */
  readonly windowMs: number;
  /** Between two sources. */
  readonly pauseMs: number;
  /** Only sources in this IPv4 prefix are heard: where others make more packets than the ear can keep. */
  readonly heardOnly?: string;
  /** Stands before the attacker's command line (taskset). */
  readonly before?: readonly string[];
}

/** One act of each source, one after the other. All times are CLOCK_REALTIME of this machine, ns. */
export async function act(host: Namespace, outside: Namespace, options: ActsOptions): Promise<readonly Act[]> {
  const ear = answering(host.start(['python3', '-u', '-c', EAR, options.heardOnly ?? '0.0.0.0/0'], { stdio: ['pipe', 'pipe', 'inherit'] }));
  await ear.ready;
  const patienceMs = 20_000 + options.sources.length * (options.windowMs + options.pauseMs) * 3;
  const ran = await outside.run([...(options.before ?? []), 'python3', '-c', ATTACKER, JSON.stringify(options)], { timeoutMs: patienceMs });
  const sent = JSON.parse(ran.stdout) as Readonly<Record<string, readonly number[]>>;
  const heard = JSON.parse(await ear.ask('?')) as Readonly<Record<string, { actedNs: number; through: readonly number[] }>>;
  return options.sources.map(source => {
    const { actedNs, through } = heard[source] ?? { actedNs: 0, through: [] };
    if (actedNs === 0) throw new Error(`${source} did not complete a handshake with the trap`);
    const times = sent[source] ?? [];
    const last = Math.max(...through, -1);
    // One that is missing between others is no drop of a ban: then the wire loses packets, and nothing here is to be believed.
    if (through.length !== last + 1) throw new Error(`of ${source} ${last + 1 - through.length} datagrams were lost on the way`);
    return { source, actedNs, lastThroughNs: times[last] ?? null, firstDroppedNs: times[last + 1] ?? null };
  });
}

const ATTACKER = `
import ctypes, json, socket, struct, sys, time
ctypes.CDLL(None).prctl(29, 1) # PR_SET_TIMERSLACK: wakes up when it is time, so it need not spin
it = json.loads(sys.argv[1])
gap, window = it['gapUs'] * 1000, it['windowMs'] * 1000000
sent = {}
for source in it['sources']:
    u, t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    u.bind((source, 0)); u.connect(('${HOST}', ${SERVED_PORT})); u.setblocking(False)
    t.bind((source, 0)); t.setblocking(False)
    times = sent[source] = []
    began = time.monotonic_ns()
    t.connect_ex(('${HOST}', ${TRAP_PORT}))
    while (now := time.monotonic_ns()) - began < window:
        times.append(time.time_ns())
        try: u.send(struct.pack('I', len(times) - 1))
        except OSError: times.pop()
        rest = gap - (time.monotonic_ns() - now)
        if rest > 0: time.sleep(rest / 1e9)
    t.close(); u.close()
    time.sleep(it['pauseMs'] / 1000)
print(json.dumps(sent))
`;

const EAR = `
import ctypes, json, socket, struct, sys
network, bits = sys.argv[1].split('/')
mask = (0xffffffff << (32 - int(bits))) & 0xffffffff
# Classic BPF: of IPv4 frames those whose source is in the prefix, 96 bytes of each.
code = [(0x28, 0, 0, 12), (0x15, 0, 4, 0x800), (0x20, 0, 0, 26), (0x54, 0, 0, mask), (0x15, 0, 1, struct.unpack('>I', socket.inet_aton(network))[0] & mask), (6, 0, 0, 96), (6, 0, 0, 0)]
program = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in code))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)) # all protocols: a second taker of IPv4 alone would cost each packet the socket that steering gave it
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.setsockopt(socket.SOL_SOCKET, 35, 1)
s.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HP', len(code), ctypes.addressof(program))) # SO_ATTACH_FILTER
s.bind(('eth0', 0)); s.setblocking(False)
heard = {}
print('ready')
def listen():
    while True:
        try: frame, extra, _, address = s.recvmsg(96, 128)
        except BlockingIOError: return
        if address[2] == 4 or len(frame) < 46 or frame[12:14] != b'\\x08\\x00': continue
        port = struct.unpack('>H', frame[36:38])[0]
        it = heard.setdefault(socket.inet_ntoa(frame[26:30]), {'actedNs': 0, 'through': []})
        if frame[23] == 17 and port == ${SERVED_PORT}: it['through'].append(struct.unpack('I', frame[42:46])[0])
        elif frame[23] == 6 and port == ${TRAP_PORT} and it['actedNs'] == 0 and frame[47] & 0x12 == 0x10:
            seconds, ns = struct.unpack('qq', extra[0][2][:16])
            it['actedNs'] = seconds * 10**9 + ns
# The kernel keeps what comes, with its time: whoever reads meanwhile would take the processor from those who are measured.
sys.stdin.readline()
listen()
print(json.dumps(heard))
`;
