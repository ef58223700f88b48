/** One POST over HTTP or HTTPS: bounded in time and in what is read of the answer, no redirects, and no word of the address, which is a secret. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Delivery } from './port.ts';

const LATEST_MS = 10_000;

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** PEM. */
  readonly ca?: string;
}

/** Never rejects. `name` begins the complaint. */
export function post({ url, headers, body, ca }: Post, name: string, signal: AbortSignal): Promise<Delivery> {
  const { protocol, host } = new URL(url);
  const label = `${name} (${host})`;
  return new Promise(resolve => {
    const send = protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'user-agent': 'HoneyMesh', ...headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(LATEST_MS)]),
      agent: false,
      ...(ca === undefined ? {} : { ca }),
    });
    request.on('response', answer => {
      answer.destroy(); // its status is all that counts
      resolve(deliveryOf(label, answer.statusCode ?? 0));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(failed(label, error)));
    request.end(body);
  });
}

function deliveryOf(label: string, status: number): Delivery {
  if (status >= 200 && status < 300) return { ok: true };
  const why = `${label} answered HTTP ${status}`;
  if (status >= 500 || status === 408 || status === 425 || status === 429)
    return { ok: false, why, fix: 'it is tried again; look at the server if it lasts', final: false };
  const fix =
    status >= 300 && status < 400 ? 'give the address that it redirects to: redirects are not followed' : 'is the address right, and the secret known there?';
  return { ok: false, why, fix, final: true };
}

export function failed(label: string, error: NodeJS.ErrnoException): Delivery {
  const late = error.name === 'TimeoutError' || error.code === 'ABORT_ERR';
  const code = late ? `did not answer within ${LATEST_MS / 1_000} s` : `cannot be reached: ${error.code ?? error.message}`;
  const tls = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(error.code ?? '');
  return {
    ok: false,
    why: `${label} ${code}`,
    fix: tls
      ? 'name the root of its certificate as ca, and its name as it is in there'
      : 'is its name right, and does a firewall let this host out? It is tried again',
    final: false,
  };
}
