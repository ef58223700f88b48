/** IoT's data plane as the functions call it (POST /topics/TOPIC), for an emulator that has none: keeps what is published, or refuses it on demand. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Caught {
  readonly topic: string;
  readonly payload: Buffer;
}

export interface PublishCatcher extends AsyncDisposable {
  readonly endpoint: string;
  readonly caught: Caught[];
  /** While true each publish is answered with a server error. */
  refuse(refusing: boolean): void;
  /** Waits for the first that fits and takes it out. */
  next(fits: (caught: Caught) => boolean, withinMs: number): Promise<Caught>;
}

export async function catchPublishes(): Promise<PublishCatcher> {
  const caught: Caught[] = [];
  let refusing = false;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      const [, topic] = /^\/topics\/([^?]+)/.exec(request.url ?? '') ?? [];
      if (topic !== undefined && !refusing) caught.push({ topic: decodeURIComponent(topic), payload: Buffer.concat(chunks) });
      response.writeHead(refusing ? 500 : 200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caught,
    refuse(on) {
      refusing = on;
    },
    async next(fits, withinMs) {
      for (const started = Date.now(); ; await delay(20)) {
        const at = caught.findIndex(fits);
        if (at >= 0) return caught.splice(at, 1)[0] as Caught;
        if (Date.now() - started > withinMs) throw new Error(`nothing was published within ${withinMs} ms that fits`);
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
