/** Exploits of what guards a network, and of the consoles of clusters: VPN gateways, load balancers, docker, kubernetes. */
import { ACT, AGENT, BODY, exploit, HEADER, HEADER_NAME, order, type Rule, SERVICE, TARGET, transfer } from './rules.ts';

/** Paths that only an exploit asks for. */
const asks = (name: string, words: readonly string[], shape?: RegExp): Rule =>
  exploit(name, { places: TARGET, words, ...(shape === undefined ? {} : { shape }) });

export const GATEWAY_RULES: readonly Rule[] = [
  // Gateways
  asks('f5-cve-2020-5902', ['/tmui/login.jsp/..;/', '/tmui/locallb/workspace/', '/hsqldb;']),
  exploit('f5-cve-2022-1388', { places: ACT, words: ['/mgmt/tm/util/bash', '/mgmt/shared/authn/login'] }),
  asks('citrix', ['/vpn/../vpns', '/vpns/portal/', '/vpns/cfg/', '/vpn/js/%2e%2e', '/gwtest/formssso', '/nf/auth/doauthentication.do', '/pcidss/report?type=']),
  asks('fortinet', [
    '/remote/fgt_lang?lang=',
    '/api/v2/cmdb/system/admin',
    '/remote/hostcheck_validate',
    '/remote/error?errmsg=',
    '/ws/cli/open',
    '/api/fabric/device/status',
    '/cgi-bin/fwbcgi',
    '/api/v2.0/cmdb/system/admin',
    '/jsonrpc/../',
  ]),
  exploit('fortinet', { places: HEADER | AGENT, words: ['report runner', 'for="[127.0.0.1]'], shape: /report runner$|for="\[127\.0\.0\.1\]/ }),
  asks('ivanti', [
    '/dana-na/../',
    '/api/v1/totp/user-backup-code',
    '/api/v1/license/keys-status',
    '/dana-ws/saml',
    '/dana-na/auth/saml-sso.cgi',
    '/mifs/aad/api',
    '/mifs/asfv3/api',
    '/mifs/rs/api/v2/featureusage',
    '/mifs/.;/',
    '/mics/services/micslogservice',
    '/client/index.php%3f.php',
    '/dana-cached/hc/',
  ]),
  asks(
    'palo-alto',
    ['/php/utils/createremoteappwebsession', '/unauth/%252e', '/unauth/%2e', '/php/ztp_gate.php', '/ssl-vpn/hipreport.esp'],
    /\/php\/utils\/createremote|\/unauth\/%|\/php\/ztp_gate\.php|\/ssl-vpn\/hipreport\.esp/,
  ),
  exploit('palo-alto', { places: HEADER, words: ['/../../opt/panlogs', '../../../opt/panlogs', 'sessid=/../'], shape: /\/\.\.\/|\.\.\/\.\.\// }),
  exploit('palo-alto', { places: HEADER_NAME, words: ['x-pan-authcheck'] }),
  asks('cisco', [
    '/+cscot+/translation-table',
    '/+cscot+/oem-customization',
    '/+cscoe+/files/file_list.json',
    '/+cscou+/../',
    '%2577ebui_wsma',
    '/webui_wsma_http',
    '/webui/logoutconfirm.html?logon_hash',
    '/cslu/v1/',
  ]),
  asks('sonicwall', ['/cgi-bin/jarrewrite.sh', '/__api__/v1/', '/cgi-bin/sslvpnclient?', '/cgi-bin/supportinstaller', '/appliance/appliancemainpage']),
  asks('zyxel', [
    '/ztp/cgi-bin/handler',
    '/bin/zhttpd/',
    '/adv,/cgi-bin/weblogin.cgi',
    '/cgi-bin/weblogin.cgi?username=',
    '/cgi-bin/export-cgi/',
    'zld_product_spec.js',
  ]),
  asks('sophos', ['/userportal/controller?mode=', '/webconsole/controller?mode=']),
  asks('vmware', [
    '/ui/vropspluginui/rest/services/',
    '/catalog-portal/ui/oauth/verify?error=',
    '/analytics/telemetry/ph/api/hyper',
    '/eam/vib?id=',
    '/saas./resttosaasservlet',
    '/ui/h5-vsan/rest/proxy',
    '/casa/nodes/thumbprints',
    '/websso/saml2/sso/../',
  ]),
  asks('checkpoint-cve-2024-24919', ['/clients/mycrl']),
  asks('barracuda', ['/cgi-mod/view_help.cgi']),

  // Consoles of clusters
  exploit('kubernetes-exec', {
    places: TARGET,
    words: ['/exec?', '/exec/', '/run/', '/attach?'],
    shape: /(?<=\/pods\/[\w.-]{1,128})\/(?:exec|attach)\?|(?<=^(?:post )?)\/(?:run|exec)\/[\w.-]{1,64}\/[\w.-]{1,128}\/[\w.-]{1,64}/,
  }),
  order('kubernetes-create', {
    places: ACT,
    words: ['/api/v1/namespaces/', '/apis/apps/', '/apis/batch/', '/apis/rbac'],
    shape:
      /(?<=^(?:post|put|patch) )\/(?:api\/v1\/namespaces\/[\w.-]{1,64}\/(?:pods|secrets|serviceaccounts)|apis\/(?:apps|batch)\/v1(?:beta1)?\/namespaces\/[\w.-]{1,64}\/(?:daemonsets|deployments|jobs|cronjobs)|apis\/rbac)/,
  }),
  exploit('container-escape', {
    places: BODY | SERVICE,
    words: ['"privileged"', '"binds"', 'binds=[', '"hostpath"', '"hostpid"', '"pidmode"', '"source"', '"mounts"'],
    shape:
      /"privileged"\s?:\s?true|"?binds"?\s?[:=]\s?\[\s?"\/(?::|root|etc|var\/(?:run|spool)|home|proc|sys|boot|tmp:)|"hostpath"\s?:\s?\{\s?"(?:path|type)"\s?:\s?"(?:\/(?:"|root|etc|var\/(?:run|spool)|proc)|directory)|"hostpid"\s?:\s?true|"pidmode"\s?:\s?"host"|"source"\s?:\s?"\/(?:"|root|etc|proc)/,
    protocols: ['docker', 'kubernetes', 'http', 'unknown', 'tls'],
  }),
  order('docker-run', {
    places: ACT,
    words: ['/containers/create', '/exec'],
    shape: /(?<=^post (?:\/v\d\.\d{1,3})?)\/containers\/create|(?<=\/containers\/[\w.-]{1,128})\/exec(?:$|\?)/,
  }),
  transfer('docker-image', {
    places: ACT,
    words: ['/images/create?', '/build?', '/images/load'],
    shape: /(?<=^post (?:\/v\d\.\d{1,3})?)\/(?:images\/create\?[^ ]{0,200}from(?:image|src)=|build\?|images\/load)/,
  }),
  order('docker-run', { places: SERVICE, words: ['image=', 'cmd=['], shape: /(?<=^)(?:image="|cmd=\[)/, protocols: ['docker'] }),
];
