/** A name server over TCP on loopback that says whatever it is told to say. */
import { createServer, type Server, type Socket } from 'node:net';

export interface DnsRecord {
  readonly type: number;
  readonly data: Uint8Array;
}

export const A = (...bytes: number[]): DnsRecord => ({ type: 1, data: Uint8Array.from(bytes) });
export const AAAA = (...words: number[]): DnsRecord => ({ type: 28, data: Uint8Array.from(words.flatMap(word => [word >> 8, word & 255])) });
export const CNAME: DnsRecord = { type: 5, data: Uint8Array.of(0xc0, 12) };

export interface DnsServer {
  readonly port: number;
  /** As they came: name and type. */
  readonly asked: readonly { readonly name: string; readonly type: number }[];
  close(): Promise<void>;
}

/** Behind its length, to the question `query` (without its length). */
export function dnsAnswer(query: Buffer, records: readonly DnsRecord[]): Buffer {
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(records.length, 6);
  const answers = records.map(({ type, data }) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return framed(Buffer.concat([head, query.subarray(12), ...answers]));
}

export const framed = (message: Uint8Array): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
};

/** `answer`: what is written for one query; null closes without a word, undefined says nothing for ever. */
export function startDnsServer(answer: (query: Buffer) => Uint8Array | null | undefined): Promise<DnsServer> {
  const asked: { name: string; type: number }[] = [];
  const open = new Set<Socket>();
  const server: Server = createServer(socket => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', chunk => {
      const query = chunk.subarray(2);
      asked.push(questionOf(query));
      const said = answer(query);
      if (said === null) socket.destroy();
      else if (said !== undefined) socket.write(said);
    });
  });
  const { promise, resolve } = Promise.withResolvers<DnsServer>();
  server.listen({ host: '127.0.0.1', port: 0 }, () => {
    const address = server.address();
    resolve({
      port: typeof address === 'object' && address !== null ? address.port : 0,
      asked,
      close() {
        for (const socket of open) socket.destroy();
        return new Promise(done => server.close(() => done()));
      },
    });
  });
  return promise;
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1) };
}
