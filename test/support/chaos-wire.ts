/**
 * A host with an enforcer and, next door, everybody else: attackers by raw frames of any source, a witness that nobody banned, and behind the host's packet
 * filter an ear that hears each frame that came through. A frame of a banned source in that ear is a gap.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { datagram, ping, syn, toHex } from '#test/support/frames/frames.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

export const HOST = '10.79.0.1';
export const HOST6 = 'fd79::1';
/** Its frames go between those of the banned: where none of them arrives, the ear or the wire is broken, and the test shows nothing. */
export const WITNESS = '10.79.0.9';
export const NEIGHBOUR = '10.79.0.2';
export const TRAP_PORT = 22;
export const SERVED_PORT = 5000;
/** Sources next door with a whole TCP stack behind them. */
export const TALKERS = '10.90.0.0/16';

export interface Wire {
  readonly lab: Lab;
  readonly host: Namespace;
  readonly outside: Namespace;
  readonly hammer: Hammer;
  readonly ear: Ear;
  remove(): void;
}

export interface Hammer {
  /** From now on frames of these sources go to the host, in turn: a datagram and a SYN to ports that are served, an echo request. Resolves when the sender knows. */
  add(...sources: readonly string[]): Promise<void>;
  /** Resolves when the last frame of these sources has left. */
  remove(...sources: readonly string[]): Promise<void>;
  /** Frames that left since the start, without those of the witness. */
  sent(): Promise<number>;
}

export interface Heard {
  readonly frames: number;
  /** Unix nanoseconds of the kernel's clock when the first and the last of them was received. */
  readonly firstNs: number;
  readonly lastNs: number;
}

export interface Ear {
  /** What came through since the start, by source. */
  heard(): Promise<ReadonlyMap<string, Heard>>;
}

/** `everywhere`: the host answers any source by way of the neighbour, as a host on the internet does. */
export async function createWire({ everywhere = false } = {}): Promise<Wire> {
  const lab = createLab();
  try {
    const [host, outside] = [lab.namespace('host'), lab.namespace('outside')];
    lab.link(
      { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, `${HOST6}/64`], mac: '02:00:00:00:00:02' },
      { namespace: outside, device: 'eth0', addresses: [`${NEIGHBOUR}/24`, `${WITNESS}/24`, 'fd79::2/64'], mac: '02:00:00:00:00:01' },
    );
    lab.ip(['route', 'add', everywhere ? 'default' : '10.0.0.0/8', 'via', NEIGHBOUR], host);
    lab.ip(['route', 'add', 'local', TALKERS, 'dev', 'lo'], outside);
    const service = answering(host.start(['python3', '-u', '-c', SERVICE], { stdio: ['pipe', 'pipe', 'inherit'] }));
    const listener = answering(host.start(['python3', '-u', '-c', EAR], { stdio: ['pipe', 'pipe', 'inherit'] }));
    const sender = answering(outside.start(['python3', '-u', '-c', HAMMER], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await Promise.all([service.ready, listener.ready, sender.ready]);
    const hammer = hammerOf(sender);
    await hammer.add(WITNESS);
    return { lab, host, outside, hammer, ear: { heard: async () => new Map(JSON.parse(await listener.ask('?')) as [string, Heard][]) }, remove: lab.remove };
  } catch (error) {
    lab.remove();
    throw error;
  }
}

function hammerOf({ ask }: Answering): Hammer {
  const framesOf = (source: string): string => {
    const to = source.includes(':') ? HOST6 : HOST;
    return [datagram(source, to, SERVED_PORT), syn(source, to, SERVED_PORT), ping(source, to)]
      .slice(0, source === WITNESS ? 1 : 3)
      .map(toHex)
      .join(',');
  };
  return {
    add: async (...sources) => void (await ask(`+ ${sources.map(source => `${source}=${framesOf(source)}`).join(' ')}`)),
    remove: async (...sources) => void (await ask(`- ${sources.join(' ')}`)),
    sent: async () => Number(await ask('?')),
  };
}

interface Answering {
  readonly ready: Promise<string>;
  /** A line for a line, in order. */
  ask(line: string): Promise<string>;
}

export function answering(child: ChildProcess): Answering {
  const waiting: PromiseWithResolvers<string>[] = [];
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('a child that answers needs its streams');
  createInterface({ input: stdout }).on('line', line => waiting.shift()?.resolve(line));
  let over = false;
  child.once('exit', () => {
    over = true;
    for (const one of waiting.splice(0)) one.reject(new Error('the process that was asked has ended'));
  });
  stdin.on('error', () => {});
  const answer = (): Promise<string> => {
    if (over) return Promise.reject(new Error('the process that was to be asked has ended'));
    const one = Promise.withResolvers<string>();
    waiting.push(one);
    return one.promise;
  };
  const ready = answer();
  return {
    ready,
    ask(line) {
      const answered = answer();
      stdin.write(`${line}\n`);
      return answered;
    },
  };
}

/** A real service, on TCP and UDP, IPv4 and IPv6: its ports are open, so what is sent there is neither scan nor flood. */
const SERVICE = `
import select, socket
u, t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6)
t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
u.bind(('::', ${SERVED_PORT})); t.bind(('::', ${SERVED_PORT})); t.listen(128)
print('ready')
while True:
    for s in select.select([u, t], [], [])[0]:
        if s is u: u.recv(2000)
        else:
            c = t.accept()[0]
            c.settimeout(1)
            try: c.recv(100) and c.sendall(b'real')
            except OSError: pass
            c.close()
`;

/** Lines of standard input, without waiting for them: select() does not see what a text stream has buffered. */
const LINES = `
import os
rest = b''
def lines():
    global rest
    read = os.read(0, 1 << 20)
    if read == b'': sys.exit()
    *whole, rest = (rest + read).split(b'\\n')
    return [line.decode() for line in whole]
`;

/** A packet socket behind the filter: XDP drops before it. Counts incoming IP frames by source. */
const EAR = `
import json, select, socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.setsockopt(socket.SOL_SOCKET, 35, 1)
s.bind(('eth0', 0)); s.setblocking(False)
heard = {}${LINES}
print('ready')
def listen():
    while True:
        try: frame, extra, _, address = s.recvmsg(96, 128)
        except BlockingIOError: return
        if address[2] == 4: continue
        if frame[12:14] == b'\\x08\\x00': source = frame[26:30]
        elif frame[12:14] == b'\\x86\\xdd': source = frame[22:38]
        else: continue
        seconds, ns = struct.unpack('qq', extra[0][2][:16])
        at = seconds * 10**9 + ns
        known = heard.get(source)
        if known is None: heard[source] = [1, at, at]
        else:
            known[0] += 1
            known[2] = at
name = lambda source: socket.inet_ntop(socket.AF_INET if len(source) == 4 else socket.AF_INET6, source)
while True:
    ready = select.select([s, sys.stdin], [], [])[0]
    listen()
    if sys.stdin in ready:
        for line in lines():
            listen()
            print(json.dumps([[name(source), {'frames': n, 'firstNs': first, 'lastNs': last}] for source, (n, first, last) in heard.items()]))
`;

/** Each millisecond one frame of the witness, some of the sources that were added first, some of all in turn: a gap of few milliseconds for all, or of some more for one. */
const HAMMER = `
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
sources, sent, at = {}, 0, 0
order = []${LINES}
print('ready')
def send(frame):
    try: s.send(frame)
    except OSError: pass
while True:
    if select.select([sys.stdin], [], [], 0.001)[0]:
        for line in lines():
            what, *words = line.split()
            if what == '?':
                print(sent)
                continue
            for word in words:
                source, _, frames = word.partition('=')
                if what == '+': sources[source] = [bytes.fromhex(frame) for frame in frames.split(',')]
                else: sources.pop(source, None)
            print('done')
        order = [frame for source, frames in sources.items() if source != '${WITNESS}' for frame in frames]
    for frame in sources.get('${WITNESS}', []): send(frame)
    hot = order[:12]
    for frames in [hot, order] * 4 if order else []:
        send(frames[at % len(frames)])
        at += 1
        sent += 1
`;
