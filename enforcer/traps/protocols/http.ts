/** A web server of the persona: Apache or nginx, with pages that attackers ask for; Tomcat on the ports that it has by default. */
import { createPages, type Pages } from './http-pages.ts';
import { createApache, createNginx, type WebServer } from './http-servers.ts';
import { createHttpMachine, type HttpAnswer, type HttpRequest, type HttpSite } from './http-talk.ts';
import { createTomcatSite } from './http-tomcat.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { oncePerPersona, type Persona } from './persona.ts';

const TOMCAT_PORTS = new Set([8080, 8180]);
const MOST_SITES = 64; // of one persona: a site for each port that was asked for
const READING = new Set(['GET', 'HEAD', 'POST']);

const pagesOf = oncePerPersona(createPages);

/** By port: sites are the same for all connections to one, so they are made once. */
const sitesOf = oncePerPersona(() => new Map<number, HttpSite>());

/** The machine of one connection. */
export function createHttpTrap(context: TrapContext): TrapMachine {
  const { persona, port } = context;
  const sites = sitesOf(persona);
  let site = sites.get(port);
  if (site === undefined) {
    site = TOMCAT_PORTS.has(port) ? createTomcatSite(persona) : createSite(persona, port);
    if (sites.size < MOST_SITES) sites.set(port, site);
  }
  return createHttpMachine(context, site);
}

function createSite(persona: Persona, port: number): HttpSite {
  const server = persona.software.http === 'apache' ? createApache(persona, port) : createNginx(persona);
  const pages = pagesOf(persona);
  return {
    protocol: 'http',
    answer: request => answerOf(request, server, pages),
    refuse: problem => server.errorPage(problem === 'too-long' ? 414 : 400, ''),
    head: (answer, framing, bodyBytes) => server.head(answer, framing, bodyBytes),
  };
}

function answerOf(request: HttpRequest, server: WebServer, pages: Pages): HttpAnswer {
  const host = hostOf(request);
  if (request.version === 'HTTP/1.1' && !request.headers.some(([name]) => name === 'host')) return { ...server.errorPage(400, ''), close: true };
  if (request.method === 'OPTIONS') return { status: 200, headers: [['Allow', 'GET,POST,OPTIONS,HEAD']], type: 'text/html' };
  if (!READING.has(request.method)) return { ...server.errorPage(405, host), headers: [['Allow', 'GET,POST,OPTIONS,HEAD']] };
  // A path that climbs: servers of today refuse it, whatever the encoding
  if (/(?:^|\/)\.\.(?:\/|$)/.test(request.path) || request.path.includes('\0')) return server.errorPage(400, host);
  const page = pages.find(request.path);
  if (page === undefined) return server.errorPage(404, host);
  const answer = typeof page === 'function' ? page(request) : page;
  if (answer.body !== undefined) return answer;
  return { ...server.errorPage(answer.status, host), ...answer };
}

const hostOf = (request: HttpRequest): string => {
  const host = request.headers.find(([name]) => name === 'host')?.[1] ?? '';
  return host
    .replace(/:\d+$/, '')
    .replace(/[^A-Za-z0-9.:[\]-]/g, '')
    .slice(0, 128);
};
