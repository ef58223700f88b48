/** What a neglected web server has lying about: the routes that attackers ask for first, with secrets that open nothing. Drawn from the persona. */
import type { HttpAnswer, HttpRequest } from './http-talk.ts';
import { toHex } from './lines.ts';
import type { Persona } from './persona.ts';

/** A page, or what decides on one. */
export type Page = HttpAnswer | ((request: HttpRequest) => HttpAnswer);

export interface Pages {
  /** `undefined`: there is no such page. */
  find(path: string): Page | undefined;
}

const html = (title: string, body: string): string =>
  `<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${title}</title>\n<link rel="stylesheet" href="/assets/style.css">\n</head>\n<body>\n${body}\n</body>\n</html>\n`;

const form = (action: string, user: string, secret: string, button: string): string =>
  `<form method="post" action="${action}">\n<label>User name <input type="text" name="${user}" autocomplete="username"></label>\n<label>Password <input type="password" name="${secret}" autocomplete="current-password"></label>\n<button type="submit">${button}</button>\n</form>`;

const basic = (realm: string): HttpAnswer => ({ status: 401, headers: [['WWW-Authenticate', `Basic realm="${realm}"`]] });
const JSON_TYPE = 'application/json';
const PLAIN = 'text/plain';

export function createPages(persona: Persona): Pages {
  const name = persona.pick('site-name', ['Intranet', 'Staff portal', 'Operations', 'Service desk', 'Inventory', 'Reports']);
  const secretOf = (label: string): string => toHex(persona.bytes(`site:${label}`, 10));

  const logIn = (notice: string): HttpAnswer => ({
    status: 200,
    body: html(`${name} - Sign in`, `<h1>${name}</h1>${notice}\n${form('/login', 'username', 'password', 'Sign in')}`),
  });
  const wordpress = (notice: string): HttpAnswer => ({
    status: 200,
    headers: [['Set-Cookie', 'wordpress_test_cookie=WP%20Cookie%20check; path=/; HttpOnly']],
    body: `<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />\n<title>Log In &lsaquo; ${name} &#8212; WordPress</title>\n<meta name='robots' content='max-image-preview:large, noindex, noarchive' />\n</head>\n<body class="login no-js login-action-login wp-core-ui locale-en-us">\n<div id="login">\n<h1><a href="https://wordpress.org/">Powered by WordPress</a></h1>\n${notice}<form name="loginform" id="loginform" action="/wp-login.php" method="post">\n<p><label for="user_login">Username or Email Address</label>\n<input type="text" name="log" id="user_login" class="input" value="" size="20" autocapitalize="off" autocomplete="username" /></p>\n<div class="user-pass-wrap"><label for="user_pass">Password</label>\n<input type="password" name="pwd" id="user_pass" class="input password-input" value="" size="20" autocomplete="current-password" /></div>\n<p class="submit"><input type="submit" name="wp-submit" id="wp-submit" class="button button-primary button-large" value="Log In" />\n<input type="hidden" name="redirect_to" value="/wp-admin/" /><input type="hidden" name="testcookie" value="1" /></p>\n</form>\n</div>\n</body>\n</html>\n`,
  });
  const phpMyAdmin = (notice: string): HttpAnswer => ({
    status: 200,
    body: html(
      'phpMyAdmin',
      `<h1>Welcome to <bdo dir="ltr" lang="en">phpMyAdmin</bdo></h1>${notice}\n${form('/phpmyadmin/index.php', 'pma_username', 'pma_password', 'Log in')}`,
    ),
  });
  const posted =
    (page: (notice: string) => HttpAnswer, notice: string): Page =>
    request =>
      page(request.method === 'POST' ? notice : '');

  const environment = [
    'APP_NAME=Portal',
    'APP_ENV=production',
    `APP_KEY=base64:${Buffer.from(persona.bytes('site:app-key', 32)).toString('base64')}`,
    'APP_DEBUG=false',
    `APP_URL=http://${persona.fullName}`,
    '',
    'DB_CONNECTION=mysql',
    'DB_HOST=127.0.0.1',
    'DB_PORT=3306',
    'DB_DATABASE=portal',
    'DB_USERNAME=portal',
    `DB_PASSWORD=${secretOf('database')}`,
    '',
    'REDIS_HOST=127.0.0.1',
    'REDIS_PASSWORD=null',
    'REDIS_PORT=6379',
    '',
    'MAIL_MAILER=smtp',
    `MAIL_HOST=${persona.fullName}`,
    'MAIL_PORT=587',
    `MAIL_USERNAME=portal@${persona.domain}`,
    `MAIL_PASSWORD=${secretOf('mail')}`,
    '',
  ].join('\n');

  const wrong = '\n<p class="error">Wrong user name or password.</p>';
  const pages = new Map<string, Page>([
    ['/', logIn('')],
    ['/index.html', logIn('')],
    ['/index.php', logIn('')],
    ['/login', posted(logIn, wrong)],
    ['/login.php', posted(logIn, wrong)],
    ['/user/login', posted(logIn, wrong)],
    [
      '/assets/style.css',
      { status: 200, type: 'text/css', body: 'body{font-family:sans-serif;margin:4em auto;max-width:24em}label{display:block;margin:1em 0}\n' },
    ],
    ['/robots.txt', { status: 200, type: PLAIN, body: 'User-agent: *\nDisallow: /admin/\nDisallow: /backup/\nDisallow: /phpmyadmin/\nDisallow: /wp-admin/\n' }],
    ['/.env', { status: 200, type: 'application/octet-stream', body: environment }],
    ['/.git/HEAD', { status: 200, type: 'application/octet-stream', body: 'ref: refs/heads/main\n' }],
    [
      '/.git/config',
      {
        status: 200,
        type: 'application/octet-stream',
        body: `[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n[remote "origin"]\n\turl = ssh://deploy@git.${persona.domain}/portal.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`,
      },
    ],
    ['/admin', basic('Administration')],
    ['/admin/', basic('Administration')],
    ['/administrator/', basic('Administration')],
    ['/backup/', { status: 403 }],
    ['/server-status', { status: 403 }],
    ['/.htaccess', { status: 403 }],
    ['/.htpasswd', { status: 403 }],
    ['/manager/html', basic('Tomcat Manager Application')],
    ['/host-manager/html', basic('Tomcat Host Manager Application')],
    ['/manager/text/list', basic('Tomcat Manager Application')],
    [
      '/wp-login.php',
      posted(wordpress, '<div id="login_error" class="notice notice-error"><p><strong>Error:</strong> The password you entered is incorrect.</p></div>\n'),
    ],
    ['/wp-admin', { status: 301, headers: [['Location', '/wp-admin/']] }],
    ['/wp-admin/', { status: 302, headers: [['Location', '/wp-login.php?redirect_to=%2Fwp-admin%2F&reauth=1']] }],
    ['/xmlrpc.php', xmlRpc],
    ['/phpmyadmin', { status: 301, headers: [['Location', '/phpmyadmin/']] }],
    ['/phpmyadmin/', posted(phpMyAdmin, '\n<div class="alert alert-danger">Access denied for user.</div>')],
    ['/phpmyadmin/index.php', posted(phpMyAdmin, '\n<div class="alert alert-danger">Access denied for user.</div>')],
    [
      '/actuator',
      {
        status: 200,
        type: JSON_TYPE,
        body: '{"_links":{"self":{"href":"/actuator","templated":false},"health":{"href":"/actuator/health","templated":false},"env":{"href":"/actuator/env","templated":false},"info":{"href":"/actuator/info","templated":false}}}',
      },
    ],
    ['/actuator/health', { status: 200, type: JSON_TYPE, body: '{"status":"UP"}' }],
    ['/actuator/info', { status: 200, type: JSON_TYPE, body: '{}' }],
    [
      '/actuator/env',
      {
        status: 200,
        type: JSON_TYPE,
        body: `{"activeProfiles":["production"],"propertySources":[{"name":"systemProperties","properties":{"os.name":{"value":"Linux"},"os.version":{"value":"${persona.release.kernel}"}}},{"name":"applicationConfig","properties":{"spring.datasource.username":{"value":"portal"},"spring.datasource.password":{"value":"******"}}}]}`,
      },
    ],
    ['/cgi-bin/', { status: 403 }],
    ['/cgi-bin/status', { status: 200, type: PLAIN, body: 'OK\n' }],
    ['/cgi-bin/status.cgi', { status: 200, type: PLAIN, body: 'OK\n' }],
    ['/cgi-bin/test.cgi', { status: 200, type: PLAIN, body: 'OK\n' }],
    [
      '/cgi-bin/test-cgi',
      {
        status: 200,
        type: PLAIN,
        body: `CGI/1.1 test script report:\n\nargc is 0. argv is .\n\nSERVER_NAME = ${persona.fullName}\nGATEWAY_INTERFACE = CGI/1.1\n`,
      },
    ],
  ]);
  return { find: path => pages.get(path) };
}

function xmlRpc(request: HttpRequest): HttpAnswer {
  if (request.method !== 'POST') return { status: 405, type: PLAIN, headers: [['Allow', 'POST']], body: 'XML-RPC server accepts POST requests only.' };
  const body =
    '<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse>\n  <fault>\n    <value>\n      <struct>\n        <member>\n          <name>faultCode</name>\n          <value><int>403</int></value>\n        </member>\n        <member>\n          <name>faultString</name>\n          <value><string>Incorrect username or password.</string></value>\n        </member>\n      </struct>\n    </value>\n  </fault>\n</methodResponse>\n';
  return { status: 200, type: 'text/xml; charset=UTF-8', body };
}
