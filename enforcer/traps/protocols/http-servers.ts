/** How Apache httpd and nginx write heads and error pages. */
import { httpDate } from './dates.ts';
import { type Framing, type HttpAnswer, REASONS } from './http-talk.ts';
import type { Persona } from './persona.ts';

export interface WebServer {
  head(answer: HttpAnswer, framing: Framing, bodyBytes: number): string;
  /** The server's own page for a status. */
  errorPage(status: number, host: string): HttpAnswer;
}

const field = (name: string, value: string | number): string => `${name}: ${value}\r\n`;
const fields = (headers: HttpAnswer['headers']): string => (headers ?? []).map(([name, value]) => field(name, value)).join('');
const HTML = 'text/html; charset=UTF-8';

export function createApache(persona: Persona, port: number): WebServer {
  const server = `Apache/${persona.versions.apache} (${persona.release.vendor})`;
  // Debian and Ubuntu ship with ServerSignature On, RHEL with Off.
  const signed = persona.release.family !== 'rhel';
  return {
    head(answer, { keepAlive, asked, at }, bodyBytes) {
      const connection = keepAlive ? (asked ? 'Keep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n' : '') : 'Connection: close\r\n';
      return `HTTP/1.1 ${answer.status} ${REASONS[answer.status] ?? 'OK'}\r\n${field('Date', httpDate(at))}${field('Server', server)}${fields(answer.headers)}${field('Content-Length', bodyBytes)}${connection}${field('Content-Type', answer.type ?? HTML)}`;
    },
    errorPage(status, host) {
      const reason = REASONS[status] ?? 'Error';
      const signature = signed ? `<hr>\n<address>${server} Server at ${host === '' ? persona.fullName : host} Port ${port}</address>\n` : '';
      const body = `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>${status} ${reason}</title>\n</head><body>\n<h1>${reason}</h1>\n<p>${APACHE_TEXTS[status] ?? ''}</p>\n${signature}</body></html>\n`;
      return { status, body, type: 'text/html; charset=iso-8859-1' };
    },
  };
}

const APACHE_TEXTS: Readonly<Record<number, string>> = {
  400: 'Your browser sent a request that this server could not understand.<br />\n',
  401: "This server could not verify that you\nare authorized to access the document\nrequested.  Either you supplied the wrong\ncredentials (e.g., bad password), or your\nbrowser doesn't understand how to supply\nthe credentials required.",
  403: "You don't have permission to access this resource.",
  404: 'The requested URL was not found on this server.',
  405: 'The requested method is not allowed for this URL.',
  414: "The requested URL's length exceeds the capacity\nlimit for this server.<br />\n",
};

export function createNginx(persona: Persona): WebServer {
  const server = `nginx/${persona.versions.nginx}${persona.release.family === 'ubuntu' ? ' (Ubuntu)' : ''}`;
  return {
    head(answer, { keepAlive, at }, bodyBytes) {
      return `HTTP/1.1 ${answer.status} ${NGINX_REASONS[answer.status] ?? REASONS[answer.status] ?? 'OK'}\r\n${field('Server', server)}${field('Date', httpDate(at))}${field('Content-Type', answer.type ?? HTML)}${field('Content-Length', bodyBytes)}${field('Connection', keepAlive ? 'keep-alive' : 'close')}${fields(answer.headers)}`;
    },
    errorPage(status) {
      const title = `${status} ${NGINX_TITLES[status] ?? NGINX_REASONS[status] ?? REASONS[status] ?? 'Error'}`;
      const body = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>${server}</center>\r\n</body>\r\n</html>\r\n`;
      return { status, body, type: 'text/html' };
    },
  };
}

const NGINX_REASONS: Readonly<Record<number, string>> = { 302: 'Moved Temporarily', 405: 'Not Allowed' };
const NGINX_TITLES: Readonly<Record<number, string>> = { 401: 'Authorization Required', 414: 'Request-URI Too Large' };
