/** Apache Tomcat: its welcome page, its manager's log-in, its error pages. */
import { httpDate } from './dates.ts';
import type { HttpAnswer, HttpSite } from './http-talk.ts';
import type { Persona } from './persona.ts';

const CSS =
  'body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b {color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} p {font-size:12px;} a {color:black;} .line {height:1px;background-color:#525D76;border:none;}';
const TITLES: Readonly<Record<number, string>> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed' };
const TEXTS: Readonly<Record<number, string>> = {
  400: 'The server cannot or will not process the request due to something that is perceived to be a client error (e.g., malformed request syntax, invalid request message framing, or deceptive request routing).',
  404: 'The origin server did not find a current representation for the target resource or is not willing to disclose that one exists.',
  405: 'The method received in the request-line is known by the origin server but not supported by the target resource.',
};
const MANAGERS = /^\/(?:host-)?manager\/(?:html|text|jmxproxy|status)(?:\/|$)/;

export function createTomcatSite(persona: Persona): HttpSite {
  const name = `Apache Tomcat/${persona.versions.tomcat}`;

  function error(status: number, message: string): HttpAnswer {
    const title = `HTTP Status ${status} \u00e2\u0080\u0093 ${TITLES[status] ?? 'Error'}`; // an en dash in UTF-8, as bytes
    const body = `<!doctype html><html lang="en"><head><title>${title}</title><style type="text/css">${CSS}</style></head><body><h1>${title}</h1><hr class="line" /><p><b>Type</b> Status Report</p><p><b>Message</b> ${message}</p><p><b>Description</b> ${TEXTS[status] ?? ''}</p><hr class="line" /><h3>${name}</h3></body></html>`;
    return { status, type: 'text/html;charset=utf-8', headers: [['Content-Language', 'en']], body };
  }

  const welcome: HttpAnswer = {
    status: 200,
    type: 'text/html;charset=UTF-8',
    body: `\n\n\n<!DOCTYPE html>\n<html lang="en">\n    <head>\n        <meta charset="UTF-8" />\n        <title>${name}</title>\n        <link href="favicon.ico" rel="icon" type="image/x-icon" />\n        <link href="tomcat.css" rel="stylesheet" type="text/css" />\n    </head>\n\n    <body>\n        <div id="wrapper">\n            <div id="asf-box"><h1>${name}</h1></div>\n            <h2>If you're seeing this, you've successfully installed Tomcat. Congratulations!</h2>\n            <a href="/manager/status">Server Status</a> <a href="/manager/html">Manager App</a> <a href="/host-manager/html">Host Manager</a>\n        </div>\n    </body>\n</html>\n`,
  };
  const managed = (path: string): HttpAnswer => ({
    status: 401,
    type: 'text/html;charset=ISO-8859-1',
    headers: [
      ['Cache-Control', 'private'],
      ['WWW-Authenticate', `Basic realm="Tomcat ${path.startsWith('/host-') ? 'Host Manager' : 'Manager'} Application"`],
    ],
    body: '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n<html>\n <head>\n  <title>401 Unauthorized</title>\n </head>\n <body>\n   <h1>401 Unauthorized</h1>\n   <p>\n    You are not authorized to view this page. If you have not changed\n    any configuration files, please examine the file\n    <tt>conf/tomcat-users.xml</tt> in your installation.\n   </p>\n </body>\n</html>\n',
  });

  return {
    protocol: 'http',
    answer({ method, path, version, headers, target }) {
      if (version === 'HTTP/1.1' && !headers.some(([header]) => header === 'host')) return { ...error(400, 'No Host'), close: true };
      if (method === 'OPTIONS') return { status: 200, headers: [['Allow', 'GET, HEAD, POST, OPTIONS']] };
      if (MANAGERS.test(path)) return managed(path);
      if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return error(405, `HTTP method ${method} is not supported by this URL`);
      if (path === '/' || path === '/index.jsp') return welcome;
      if (path === '/manager' || path === '/manager/') return { status: 302, headers: [['Location', '/manager/html']] };
      const shown =
        target
          .split('?', 1)[0]
          ?.slice(0, 512)
          .replace(/[<>&"']/g, character => `&#${character.charCodeAt(0)};`) ?? '';
      return error(404, `The requested resource [${shown}] is not available`);
    },
    refuse: () => ({ ...error(400, 'Invalid character found in method name. HTTP method names must be tokens'), close: true }),
    head(answer, { keepAlive, asked, at, version }, bodyBytes) {
      const extra = (answer.headers ?? []).map(([header, value]) => `${header}: ${value}\r\n`).join('');
      const type = answer.type === undefined ? '' : `Content-Type: ${answer.type}\r\n`;
      // The welcome page is a JSP of unknown length: an HTTP/1.0 client gets it without one, to the end of the connection.
      const length = answer === welcome && !keepAlive && version === 'HTTP/1.0' ? '' : `Content-Length: ${bodyBytes}\r\n`;
      const connection = keepAlive ? (asked ? 'Keep-Alive: timeout=20\r\nConnection: keep-alive\r\n' : '') : 'Connection: close\r\n';
      return `HTTP/1.1 ${answer.status} \r\n${extra}${type}${length}Date: ${httpDate(at)}\r\n${connection}`;
    },
  };
}
