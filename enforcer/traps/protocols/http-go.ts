/** Heads as Go's net/http writes them: the handler's headers by name, then Date, Content-Length, Connection; the version of the request. */
import { httpDate } from './dates.ts';
import { type Framing, type HttpAnswer, REASONS } from './http-talk.ts';

export function goHead(answer: HttpAnswer, { keepAlive, asked, at, version }: Framing, bodyBytes: number): string {
  if (answer.status === 400 && answer.body === goRefusal.body)
    return 'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n';
  const own: (readonly [string, string])[] = [...(answer.headers ?? [])];
  if (answer.type !== undefined) own.push(['Content-Type', answer.type]);
  own.sort(([a], [b]) => (a < b ? -1 : 1));
  const length = answer.status === 204 ? '' : `Content-Length: ${bodyBytes}\r\n`;
  const connection =
    !keepAlive && version === 'HTTP/1.1' ? 'Connection: close\r\n' : keepAlive && asked && version === 'HTTP/1.0' ? 'Connection: keep-alive\r\n' : '';
  const status = `${version === 'HTTP/1.0' ? 'HTTP/1.0' : 'HTTP/1.1'} ${answer.status} ${REASONS[answer.status] ?? 'OK'}`;
  return `${status}\r\n${own.map(([name, value]) => `${name}: ${value}\r\n`).join('')}Date: ${httpDate(at)}\r\n${length}${connection}`;
}

/** What is no HTTP: written before there is a response, so without a date. */
export const goRefusal: HttpAnswer = { status: 400, type: 'text/plain; charset=utf-8', body: '400 Bad Request', close: true };
