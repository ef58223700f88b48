/** Code and serialised objects that a web application is made to run: PHP and its shells, Java, .NET, Python, Ruby, YAML, JSON and XML with types in them. */
import { BODY, exploit, HEADER, OPAQUE, type Rule, SERVICE, TARGET, WEB } from './rules.ts';

export const OBJECT_RULES: readonly Rule[] = [
  // PHP
  exploit('php-code', { places: TARGET, words: ['<?php'] }),
  exploit('php-code', {
    places: TARGET | BODY | HEADER,
    words: ['<?php', '<?=', '<? '],
    shape:
      /<\?(?:php|=)?[\s(@].{0,300}?(?:system|exec|passthru|shell_exec|popen|proc_open|eval|assert|phpinfo|md5|file_put_contents|fputs|fwrite|base64_decode|move_uploaded_file|copy|unlink|include|die|print_r|\$_(?:get|post|request|cookie|server))\s{0,4}[([]|<\?=.{0,4}`/,
  }),
  exploit('php-code', {
    places: TARGET | BODY,
    words: [
      'base64_decode(',
      'shell_exec(',
      'passthru(',
      'phpinfo()',
      'call_user_func_array',
      'die(@md5',
      'print(md5(',
      'file_put_contents(',
      'proc_open(',
      'system(',
      'assert(',
      'eval(',
    ],
    shape:
      /(?<=(?:eval|assert|system|exec|@)\(?@?)base64_decode\(|(?:shell_exec|passthru|proc_open)\(|(?<=[=({;'"\s`]|^)phpinfo\(\)|(?<=(?:function|vars\[0\]|f)(?:\[\])?=)call_user_func_array|die\(@md5|print\(md5\(|(?<=[=;({@]\s{0,4}|^)(?:file_put_contents|system|assert|eval)\(['"$@\w\\]{1,4}/,
  }),
  exploit('web-shell', {
    places: TARGET | BODY | OPAQUE,
    words: ['$_post', '$_get', '$_request', '$_cookie', '$_server', 'request.getparameter(', 'request.item[', 'request("', 'request.form('],
    shape:
      /(?<=(?:eval|assert|system|exec|passthru|popen|include|require|create_function|base64_decode|move_uploaded_file|call_user_func|array_map|file_put_contents)\s?\(?[^;]{0,60})\$_(?:post|get|request|cookie|server)\s?[[{]|\$_(?:post|get|request|cookie)\s?\[[^\]]{0,32}\]\s?\(|(?<=exec\(.{0,20})request\.getparameter\(|(?<=eval\s?\(\s?)request(?:\.item)?[[(]|(?<=(?:eval|execute(?:global)?)[\s(]{1,3})request(?:\("|\.form\()/,
  }),
  exploit('php-ini', {
    places: TARGET | BODY,
    words: ['allow_url_include', 'auto_prepend_file', '\xadd ', '%add', '?-d', '?-s'],
    shape:
      /(?<=[-\xad]d\s{0,2}|%add.{0,3}|d=)(?:allow_url_include|auto_prepend_file)|\xadd (?:allow|auto|cgi)|%add(?:\+|%20)|(?<=\.php\d?|\/|php-cgi(?:\.exe)?)\?-(?:d[+ ]?|s$)/,
  }),

  // Serialised objects
  exploit('java-object', { places: WEB | SERVICE, words: ['ro0ab'], shape: /rO0AB[A-Za-z0-9+/%_=-]{4}/, exact: true }),
  exploit('java-object', { places: BODY | OPAQUE | HEADER, words: ['\xac\xed\x00\x05', 'aced0005'], shape: /\xac\xed.{2}[p-~]|aced0005[72]/ }),
  exploit('java-object', {
    places: WEB | SERVICE,
    words: [
      'org.apache.commons.collections',
      'invokertransformer',
      'instantiatetransformer',
      'chainedtransformer',
      'com.sun.org.apache.xalan.internal.xsltc.trax.templatesimpl',
    ],
    shape:
      /(?<!at )org\.apache\.commons\.collections4?\.(?:functors|keyvalue|map\.lazymap)|(?:invoker|instantiate|chained)transformer|com\.sun\.org\.apache\.xalan/,
  }),
  exploit('node-object', { places: WEB, words: ['_$$nd_func$$_'] }),
  exploit('php-object', {
    places: TARGET | HEADER | BODY,
    words: ['o:1', 'o:2', 'o:3', 'o:4', 'o:5', 'o:6', 'o:7', 'o:8', 'o:9', 'o:+'],
    shape: /(?<![A-Za-z0-9])O:\+?\d{1,3}:\\?"[\w\\]{1,64}\\?":\d{1,3}:\{/,
    exact: true,
  }),
  exploit('python-object', {
    places: WEB | SERVICE,
    words: ['cos\nsystem', 'cposix\nsystem', 'csubprocess\n', 'c__builtin__\neval', 'cbuiltins\n', '!!python/', '__reduce__'],
    shape: /c(?:os|posix)\nsystem|csubprocess\n(?:popen|check_output)|c(?:__builtin__|builtins)\n(?:eval|exec)|!!python\/(?:object|name|module)|__reduce__/,
  }),
  exploit('dotnet-object', {
    places: WEB | OPAQUE,
    words: [
      'aaeaaad/////',
      'objectdataprovider',
      'typeconfusedelegate',
      'textformattingrunproperties',
      'windowsidentity, mscorlib',
      'system.data.services.internal.expandedwrapper',
    ],
  }),
  exploit('yaml-object', {
    places: BODY | TARGET,
    words: ['!ruby/object', '!ruby/hash', '!!javax.script', '!!com.sun.', '!!java.'],
    shape: /!ruby\/(?:object|hash)|!!(?:javax\.script|com\.sun|java\.net)\./,
  }),
  exploit('json-object', {
    places: BODY | TARGET,
    words: ['@type'],
    shape:
      /@type\\?["']{1,2}\s{0,4}:\s{0,4}\\?["'](?:L?com\.sun\.|L?java\.(?:lang\.(?:autocloseable|class|exception)|net\.|io\.|util\.)|org\.apache\.|com\.(?:mchange|alibaba|zaxxer|ibatis)|oracle\.jdbc|br\.com\.|ch\.qos)/,
  }),
  exploit('xml-object', {
    places: BODY,
    words: [
      'java.beans.xmldecoder',
      '<void class="java.',
      "<void class='java.",
      'java.beans.eventhandler',
      '<java.util.priorityqueue',
      '<jdk.nashorn',
      'com.sun.org.apache.xalan',
      'javax.imageio.imageio',
      '<dynamic-proxy>',
      '<methodname>{{',
      'com.tangosol.coherence',
    ],
  }),
];
