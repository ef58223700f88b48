/** Attacks on web applications by their syntax, whatever the product: injections, traversal, templates, serialised objects. Products are in products.ts. */
import { ACT, AGENT, ANYWHERE, BODY, exploit, HEADER, HEADER_NAME, MAIL, NAME, OPAQUE, probe, type Rule, SERVICE, TARGET, transfer } from './rules.ts';

const SECRET_FILES = String.raw`(?:etc\/(?:(?:master\.)?passwd|shadow|hosts|issue|group|sudoers)|proc\/(?:self|\d|version|cpuinfo)|windows\/(?:win\.ini|system32)|win(?:nt|dows)?[/\\]{1,2}(?:win\.ini|system32)|boot\.ini|web-inf|wp-config|web\.config|\.env|\.ssh\/|\.aws\/|root\/|bin\/(?:ba)?sh|cmd\.exe)`;

export const INJECTION_RULES: readonly Rule[] = [
  exploit('log4shell', { places: ANYWHERE | HEADER_NAME, words: ['${jndi:'] }),
  exploit('shellshock', {
    places: HEADER | AGENT | TARGET | MAIL | NAME | SERVICE,
    words: ['() {', '(){'],
    shape: /\(\) ?\{ ?(?::|_|[a-z]{1,8}) ?;[^}\n]{0,32}\} ?[;>]/,
  }),

  // Traversal. A client resolves dots before it asks; one that encodes them hides them from somebody.
  exploit('path-traversal', {
    places: TARGET,
    words: ['/..', '\\..', '=..', '..;/', '..\\'],
    shape: new RegExp(
      String.raw`(?:[/\\=]?\.\.[/\\]{1,2}){2}|[/\\=]\.\.[/\\]{1,3}(?:[\w.-]{1,32}[/\\]){0,3}${SECRET_FILES}|\.\.;\/|(?<!\?.{0,512})[/\\]\.\.(?:$|[/\\?])`,
    ),
  }),
  exploit('path-traversal', {
    places: BODY | HEADER | SERVICE,
    words: ['../', '..\\'],
    shape: new RegExp(String.raw`(?:\.\.[/\\]{1,2}){1,12}(?:[\w.-]{1,32}[/\\]){0,3}${SECRET_FILES}|(?:\.\.\/){5}`),
  }),
  exploit('encoded-traversal', {
    places: TARGET | SERVICE,
    words: ['%2e', '%252e', '%%32', '..%', '%c0%ae', '%c0%af', '%u002e'],
    shape: /(?:\.|%(?:25){0,3}2e|%%32%65|%c0%ae|%u002e){2}(?:\/|\\|%(?:25){0,3}(?:2f|5c)|%c0%af|%c1%9c|%u221[56]|%%32%66)|(?<=\.)%2e\/|%%32%|%252e%252e/,
  }),
  exploit('local-file', {
    places: TARGET | BODY,
    words: [
      '/etc/passwd',
      '/etc/shadow',
      '/proc/self/',
      'php://',
      'expect://',
      'phar://',
      'data://text',
      'file:///',
      'c:\\windows\\',
      'c:/windows/',
      'win.ini',
      'boot.ini',
      'zip://',
    ],
    shape:
      /\/etc\/(?:passwd|shadow)(?=$|[^\w-])|\/proc\/self\/(?:environ|cmdline|fd|maps|root)|php:\/\/(?:filter|input)|expect:\/\/\w|phar:\/\/|data:\/\/text\/plain|(?<=[=>"'\s])file:\/\/\/(?:etc|proc|c:|var|root|home|windows)|c:[\\/]windows[\\/](?:win|system)|(?<=[=/\\])(?:win|boot)\.ini|zip:\/\/[^\s]{1,64}#/,
  }),

  // SQL
  exploit('sql-injection', {
    places: TARGET | BODY | HEADER,
    words: ['union'],
    shape:
      /union(?:\s{1,8}|\()(?:(?:all|distinct)(?:\s{1,8}|\())?\(?\s{0,4}select(?:\s{1,8}|\(|['"])(?:null|\d|0x|char\(|concat|unhex|hex\(|@@|md5|user\(|version|database|\*|['"(@]|[\w.]{1,40}(?:\s{0,4},|\s{1,8}from))/,
  }),
  exploit('sql-injection', {
    places: TARGET | BODY | HEADER,
    words: [' or ', ' and ', "'or", '"or', ')or', '||', '&&', ' xor ', ' having ', "'and"],
    shape:
      /(?:(?<=['")\d]\s{0,8})|(?<=^\s{0,2}))(?:\sx?or\s|\sand\s|x?or|and|\|\||&&|\shaving\s)\s{0,8}(?:not\s{1,4})?\(?(?:(['"])(\w{0,16})\1\s{0,4}(?:=|like)\s{0,4}\1\2(?=$|['"&\s;)#-])|\d{1,8}\s{0,4}(?:=|<|>|<>|like)\s{0,4}\d{1,8}(?=$|[\s'")&#;-])|'\w{0,16}'\s{0,4}=\s{0,4}'\w{0,16}|true(?=$|\s{0,4}(?:--|#))|(?:ascii|substr|substring|length|ord|mid|if|sleep|exists|select|extractvalue|updatexml|elt|make_set|rlike)\s{0,4}\()/,
  }),
  exploit('sql-injection', {
    places: TARGET | BODY | HEADER,
    words: [
      'sleep(',
      'benchmark(',
      'pg_sleep(',
      'waitfor delay',
      'dbms_pipe',
      'extractvalue(',
      'updatexml(',
      'dbms_lock',
      'utl_inaddr',
      'utl_http',
      'randomblob(',
      'xmltype(',
      'load_file(',
      'generate_series(',
      'ctxsys.',
      'dbms_ldap',
    ],
    shape:
      /(?<=(?:and|or|select|then|if\(.{1,40},|[,;'"()+=*|-]|\d)\s{0,8})(?:pg_)?sleep\(\s?\d|benchmark\(\s?\d{4}|waitfor delay\s?['"]\d|dbms_(?:pipe\.|lock\.|ldap\.)|extractvalue\(\s?\d|updatexml\(\s?\d|utl_(?:inaddr|http)\.|randomblob\(\d{5}|xmltype\(|load_file\(\s?['"0c]|(?<=select.{0,40})generate_series\(|ctxsys\.drithsx/,
  }),
  exploit('sql-injection', {
    places: TARGET | BODY | HEADER,
    words: [
      'information_schema',
      'into outfile',
      'into dumpfile',
      'xp_cmdshell',
      'sysobjects',
      'sp_oacreate',
      'from pg_',
      'sqlite_master',
      'from dual',
      'mysql.user',
      '@@version',
      'sp_password',
      'xp_dirtree',
      'xp_regread',
    ],
    shape:
      /information_schema[.`"\]]{1,3}\w|into (?:out|dump)file\s{0,4}['"0]|xp_(?:cmdshell|dirtree|regread)|(?<=from.{0,24})sysobjects|sp_(?:oacreate|password)|(?<=select.{1,120})from (?:pg_\w|dual)|(?<=from\s{1,8})(?:sqlite_master|mysql\.user)|(?<=(?:select|union|convert\(int,|and|or)[\s(,]{1,8}.{0,16})@@version/,
  }),
  exploit('sql-injection', {
    places: TARGET | BODY,
    words: ['drop ', 'insert into', 'delete from', 'update ', 'exec ', 'exec(', 'declare @', 'alter ', 'order by ', 'group by ', 'select ', 'shutdown', '--'],
    shape:
      /(?<=['")\d]\s{0,4};\s{0,8})(?:drop (?:table|database|schema)|insert into\s|delete from\s|update \w{1,40} set|exec(?:\s|\()(?:master|xp_|sp_|\()|declare @|alter (?:table|user)|select (?:\w{1,24}\(|\*|\d)|shutdown)|(?<=['")\d]\s{0,8})(?:order|group) by \d{1,4}\s{0,4}(?:--|#)|(?<=['"(=]\s{0,4}\(?)select\s(?:\*|count\(|[\w(), .*@]{1,80}\sfrom\s(?:users?|information_schema|pg_|mysql|sys|dual))|(?<=(?:=|[?&])[\w .@-]{0,32}['"]\)?\s{0,4};?)--(?=$|\s|[-+&])/,
  }),
  exploit('nosql-injection', {
    places: TARGET | BODY,
    words: ['[$', '"$ne"', '"$gt"', '"$regex"', '"$where"', "'||", '$where'],
    shape:
      /\[\$(?:ne|gt|gte|lt|lte|regex|in|nin|exists|where|eq|or)\]|"\$(?:ne|gt|gte|regex)"\s{0,4}:\s{0,4}(?:""|null|"\.\*"|-1|0|"\^")|"?\$where"?\s{0,4}[:=]\s{0,4}['"]?[^'"]{0,80}(?:sleep\(|this\.|function|return|while\()|'\|\|\s?['"\w.]{1,16}\s?={2,3}/,
  }),
  exploit('ldap-injection', {
    places: TARGET | BODY | NAME,
    words: ['*)(', ')(|(', ')(&(', '*))%00'],
    shape: /\*\)\((?:[|&!]|\w{1,24}=|objectclass)|\)\([|&]\(\w{1,24}=/,
  }),

  // What browsers of others are to run
  exploit('xss', {
    places: TARGET | HEADER,
    words: [
      '<script',
      'javascript:',
      'onerror',
      'onload',
      'onmouseover',
      'ontoggle',
      'onfocus',
      'onclick',
      'onstart',
      '<svg',
      'srcdoc',
      'onpointer',
      'onanimation',
      'vbscript:',
      'document.cookie',
      'alert(',
    ],
    shape:
      /<script(?=[\s>/\\:])|javascript:\s{0,4}(?:alert|confirm|prompt|eval|document|window|fetch|import|top|self|this|\/\/|\/\*|%)|(?<=[\s"'/])on(?:error|load|mouseover|toggle|focus|click|start|pointer\w{2,8}|animation\w{3,9})\s{0,3}=\s{0,3}["'`]?\w{0,24}[\w.\s]{0,24}[(=`]|<svg[\s/]{0,4}[^>]{0,40}onload|srcdoc\s?=\s?["']?<|vbscript:\w|(?<=[=>(\s;"'])document\.cookie(?=$|[\s;)"'<])|(?<=[>;"'(=]\s{0,4})alert\((?:\d|document|['"`]|\w{0,12}\))/,
  }),

  exploit('xss', {
    places: BODY,
    words: ['<script', 'javascript:', 'onerror', 'onload', 'ontoggle', 'onfocus', 'onmouseover'],
    shape:
      /<script[^>]{0,80}>[^<]{0,40}(?:alert|prompt|confirm|document\.cookie)|javascript:\s{0,4}(?:alert|prompt|confirm|document\.)|(?<=[\s"'/])on(?:error|load|toggle|focus|mouseover)\s{0,3}=\s{0,3}\\?["'`]?\s{0,3}(?:alert|prompt|confirm|eval|fetch|import|document\.|window\.|top\[|this\[)/,
  }),

  // XML
  exploit('xxe', {
    places: BODY | TARGET | OPAQUE,
    words: ['<!entity', '<!doctype'],
    shape:
      /<!entity\s{1,8}(?:%\s{1,4})?[\w.-]{1,64}\s{1,8}(?:system|public)\s|<!doctype\s{1,8}[\w:.-]{1,64}\s{1,8}system\s{1,8}["'](?:file:|(?:https?|ftp):\/\/\d{1,3}\.\d{1,3}\.)/,
  }),
  exploit('xxe', { places: BODY | TARGET, words: ['<xi:include', 'xi:include'], shape: /<?xi:include[^>]{0,120}href\s{0,3}=\s{0,3}["'](?:file|https?:|\/)/ }),
  exploit('xslt-code', {
    places: BODY,
    words: ['xmlns:rt="', 'msxsl:script', 'php:function('],
    shape: /xmlns:rt=".{0,60}java\.lang|msxsl:script|php:function\(/,
  }),

  // Templates and expression languages
  exploit('template-injection', {
    places: TARGET | BODY | HEADER,
    words: ['{{', '${', '#{', '<%=', '*{', '{%', '[[$', '@('],
    shape:
      /(?:\{\{|\$\{\{?|#\{|\*\{|<%=|\[\[\$\{|@\()\s{0,3}['"]?\d{1,7}\s?\*\s?['"]?\d{1,7}['"]?\s{0,3}(?:\}|%>|\))|\{\{\s{0,3}(?:['"[(]{1,2}\)?['"\])]{0,2}\.__|self\.(?:_|__)|request\.(?:application|__|attr)|config(?:\.(?:items|from|__)|\s{0,3}\}\})|cycler\.|joiner\.|lipsum\.|namespace\.|_self\.env|\[?['"](?:id|cat|system|whoami)['"]\]?\s{0,2}\|\s{0,2}(?:filter|map|sort|reduce)|constructor\.constructor|range\.constructor|url_for\.|get_flashed)|(?:\$|#|\*)\{\s{0,3}(?:t\(|['"]{2}\.(?:getclass|class)|new java|@java|#(?:_memberaccess|context|this|parameters|rt|cmd|a\b|req)|class\.|applicationscope|session\.|param\.\w{1,16}\.|facescontext|product\.getclass)|\{%\s{0,3}(?:import|for c in|set [\w]{1,8}\s?=\s?[^%]{0,80}__)|<%=\s{0,3}(?:system|`|file\.|io\.|global\.|process\.|7)/,
  }),
  exploit('template-injection', {
    places: TARGET | BODY,
    words: [
      'freemarker.template.utility.',
      '__subclasses__',
      '__globals__',
      '__builtins__',
      '#set($',
      '#set ($',
      'registerundefinedfiltercallback',
      '.__class__',
      'velocity.engine',
      '__import__(',
    ],
    shape:
      /freemarker\.template\.utility\.(?:execute|objectconstructor|jython)|__(?:subclasses|globals|builtins)__|\.__class__(?:\.|\[)|#set ?\(\$\w{1,24}\s?=[^)]{0,80}(?:class|runtime|exec)|registerundefinedfiltercallback|__import__\(['"\\]{1,3}(?:os|subprocess|socket|builtins|pty|sys)/,
  }),
  exploit('java-code', {
    places: TARGET | BODY | HEADER | OPAQUE,
    words: [
      'java.lang.runtime',
      'java.lang.processbuilder',
      'getruntime',
      '#_memberaccess',
      'com.opensymphony.xwork2',
      '@ognl.',
      'javax.script.',
      'java.lang.processimpl',
      'nashorn',
      'groovy.',
      'org.apache.commons.io',
      'class.forname(',
      'getmethod(',
      'beanshell',
    ],
    shape:
      /(?<!at (?:java\.base\/)?)java\.lang\.(?:runtime|process(?:builder|impl))(?![a-z])|getruntime['"\\]{0,3}(?:\(|,|\))|#_memberaccess|com\.opensymphony\.xwork2\.dispatcher|@ognl\.|javax\.script\.scriptengine|groovy\.(?:lang\.groovyshell|util\.eval)|@groovy\.(?:transform|lang)|(?<=@)org\.apache\.commons\.io|class\.forname\(['"\\]{1,3}(?:java|javax)\.|(?<=class\.{0,1}.{0,40})getmethod\(['"\\]{1,3}(?:exec|getruntime|eval)/,
  }),
  exploit('ognl', {
    places: TARGET | BODY | HEADER,
    words: ['%{', '${(', '#context', '(#', 'redirect:$', 'action:$', 'redirectaction:', '#request', '#session'],
    shape:
      /%\{\s?\(?#|\$\{\(#|#context\[|\(#\w{1,24}\s?=\s?(?:@|new |#)|(?:redirect(?:action)?|action):(?:\$|%)\{|\(#(?:_memberaccess|dm|ct|cmd|req|ros|iswin|cr|ou)\b/,
  }),
  exploit('spring4shell', { places: TARGET | BODY, words: ['class.module.classloader', 'class.classloader', "class['classloader']", 'class[classloader]'] }),
  exploit('node-code', {
    places: TARGET | BODY | HEADER,
    words: ['child_process', 'process.mainmodule', 'process.binding('],
    shape: /(?<=(?:require|import|binding|getbuiltinmodule)\s?\(\s?['"\\`]{1,3}(?:node:)?)child_process|process\.mainmodule(?:\.|\[)|process\.binding\(/,
  }),
  exploit('prototype-pollution', {
    places: TARGET | BODY,
    words: ['__proto__', 'constructor[prototype]', 'constructor.prototype', '"prototype"'],
    shape: /__proto__(?:\]|\[|\.|\\?["']\s?:|:)|constructor(?:\[|\.)prototype(?:\]|\[|\.)|(?<="constructor"\s{0,3}:\s{0,3}\{\s{0,3})"prototype"/,
  }),

  exploit('header-injection', {
    places: TARGET,
    words: ['\nset-cookie:', '\nlocation:', '\ncontent-length:', '\nx-', '\nhost:', '\ncontent-type:'],
    shape: /\n(?:set-cookie|location|content-length|content-type|host|x-[\w-]{2,24}):/,
  }),
  exploit('metadata-request', {
    places: TARGET | BODY,
    words: ['169.254.169.254', 'metadata.google.internal', '100.100.100.200', 'gopher://', 'dict://', '[::ffff:a9fe:a9fe]', '0xa9fea9fe', '2852039166'],
    shape:
      /(?<!^https?:\/\/)(?:169\.254\.169\.254|metadata\.google\.internal|100\.100\.100\.200|\[::ffff:a9fe:a9fe\]|0xa9fea9fe|2852039166)|(?<=[=>"'])(?:gopher|dict):\/\//,
    protocols: ['http', 'unknown', 'tls', 'kubernetes', 'docker', 'elasticsearch'],
  }),

  // A file put where the server runs it
  exploit('script-upload', {
    places: ACT,
    words: ['put /', 'move /', 'copy /'],
    shape: /(?:PUT|MOVE|COPY) \/[^ ?]{0,300}\.(?:jspx?|php\d?|phtml|phar|asp|aspx|ashx|asmx|cer|war|cfm|cgi|pl|session)(?:[/%:. ?;]|$)/,
  }),
  exploit('script-upload', {
    places: BODY,
    words: ['filename='],
    shape: /filename=\\?["']?[^"'\r\n]{0,120}\.(?:jspx?|php\d?|phtml|phar|asp|aspx|ashx|cer|war|cfm)[.%\s]{0,4}\\?["'\r\n;]/,
  }),
  transfer('program-upload', {
    places: BODY,
    words: ['filename='],
    shape: /filename=\\?["']?[^"'\r\n]{0,120}\.(?:elf|scr|hta|mips|mipsel|arm[4-7]?|x86)\\?["'\r\n;]/,
  }),
  probe('trace-probe', { places: ACT, words: ['trace /', 'track /', 'debug /'], shape: /(?:TRACE|TRACK|DEBUG) \// }),
];
