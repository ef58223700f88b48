/** What is said to services that are no web server: redis, memcached, databases, mail, FTP, SMB, remote desktops, adb, and UDP. */
import { AGENT, exploit, LINE, MAIL, NAME, OPAQUE, order, probe, type Rule, SERVICE, transfer } from './rules.ts';

const REDIS = { protocols: ['redis', 'unknown', 'tls'] } as const;
const SQL = { protocols: ['mysql', 'postgresql', 'mssql', 'unknown', 'tls'] } as const;

export const SERVICE_RULES: readonly Rule[] = [
  // Redis without a password: the dump is written where it is run, a rogue master sends a module, Lua leaves its sandbox.
  exploit('redis-config-write', {
    places: SERVICE,
    words: ['config set '],
    shape:
      /config set (?:dir|dbfilename|rdb-?\w{0,12}file\w{0,8}|slave-read-only no|replica-read-only no|protected-mode no|stop-writes-on-bgsave-error no|rename-command)/,
    ...REDIS,
  }),
  exploit('redis-config-write', { places: OPAQUE, words: ['\r\nconfig\r\n'], shape: /\r\nconfig\r\n\$\d{1,3}\r\nset\r\n\$\d{1,3}\r\n(?:dir|dbfilename)/ }),
  exploit('redis-replication', { places: LINE, words: ['slaveof ', 'replicaof '], shape: /(?:slaveof|replicaof) (?!no one)\S{1,128} \d{1,5}/, ...REDIS }),
  transfer('redis-replication-file', { places: LINE, words: ['slaveof ', 'replicaof '], shape: /(?:slaveof|replicaof) (?!no one)\S{1,128} \d{1,5}/, ...REDIS }),
  exploit('redis-module', { places: LINE, words: ['module load'], ...REDIS }),
  exploit('redis-module', { places: LINE, words: ['system.exec', 'system.rev', 'system.eval'], shape: /(?<=^)system\.(?:exec|rev|eval)/, ...REDIS }),
  exploit('redis-lua-cve-2022-0543', {
    places: SERVICE,
    words: ['package.loadlib', 'luaopen_io', 'luaopen_os', 'io.popen', 'os.execute', 'loadstring('],
    shape: /package\.loadlib|luaopen_(?:io|os)|(?<=eval.{0,200})(?:io\.popen|os\.execute)|(?:io\.popen|os\.execute)\s?\(|loadstring\(.{0,40}\\27/,
  }),
  exploit('cron-write', {
    places: SERVICE,
    words: ['* * * *'],
    shape: /(?<=^|[\n\r"' ]|\*\/\d{1,2} |\d )\* \* \* \*(?: root)?\s{1,4}[^\n]{0,240}?(?:curl|wget|bash|sh|python|nc|cd1|cdt|\/dev\/tcp|base64)/,
  }),
  exploit('ssh-key-write', { places: SERVICE, words: ['ssh-rsa aaaa', 'ssh-ed25519 aaaa'] }),
  exploit('gopher-redis', { places: LINE, words: ['post / http/1', 'host: '], shape: /(?<=^)post \/ http\/1/, ...REDIS }),
  probe('memcached-dump', {
    places: LINE,
    words: ['stats cachedump', 'lru_crawler metadump', 'stats items'],
    shape: /stats cachedump|lru_crawler metadump/,
    protocols: ['memcached'],
  }),
  exploit('ransom-note', {
    places: SERVICE,
    words: ['read_me_to_recover', 'readme_to_recover', 'your data is backed up', 'recover your data', 'recover your lost', ' btc to ', 'read__me'],
    shape: /read_{1,2}me(?:_to_recover)?|readme_to_recover|your data is backed up|recover your (?:data|lost)|\d btc to /,
  }),
  exploit('mongodb-code', {
    places: SERVICE,
    words: ['$where', 'mapreduce', '$function', '$accumulator'],
    shape: /(?:\$where|mapreduce|\$function|\$accumulator).{0,240}?(?:sleep\(|this\.constructor|process\.|child_process|while\s?\(|hex_md5|run\(|tojson\(db)/,
  }),

  // Databases
  exploit('postgresql-program', { places: SERVICE, words: ['from program', 'to program'], shape: /(?:from|to) program\s{0,4}['"$]/ }),
  exploit('postgresql-function', {
    places: SERVICE,
    words: ['lo_export', 'lo_import', 'language c', 'pg_read_file', 'pg_ls_dir', 'language plpython', 'dblink_connect'],
    shape: /lo_(?:ex|im)port\s?\(|language c(?=$|\W)|pg_(?:read_(?:binary_)?file|ls_dir)\s?\(|language ['"]?plpython\d?u|dblink_connect\s?\(/,
    ...SQL,
  }),
  exploit('mssql-command', {
    places: SERVICE,
    words: ['xp_cmdshell', 'sp_oacreate', 'sp_oamethod', 'xp_regwrite', 'xp_dirtree', 'sp_execute_external_script', 'sp_start_job', 'create assembly'],
  }),
  exploit('mssql-command', { places: SERVICE, words: ['x\0p\0_\0c\0m\0d', 's\0p\0_\0o\0a\0c'] }), // TDS speaks UTF-16
  exploit('mysql-file', {
    places: SERVICE,
    words: ['into outfile', 'into dumpfile', 'load_file(', 'load data local', 'load data infile', 'soname', 'general_log_file'],
    shape: /into (?:out|dump)file|load_file\s?\(|load data (?:local )?infile|soname ['"]|general_log_file/,
  }),
  exploit('oracle-tns', {
    places: OPAQUE,
    words: ['(command=', '(connect_data='],
    shape: /\(connect_data=\(command=(?:version|status|services|log_file|stop)|\(command=(?:log_file|stop|status|version)/,
  }),

  // Mail and FTP
  exploit('exim-cve-2019-10149', { places: LINE | MAIL, words: ['${run{', '${run ', '\\x24\\x7brun'] }),
  exploit('mail-injection', {
    places: LINE,
    words: ['rcpt to', 'mail from', 'ehlo ', 'helo '],
    shape: /(?:rcpt to|mail from|ehlo|helo)\s?[:<\s]{1,3}[^\r\n]{0,80}(?:`|\$\(|\|\s?\/|;\s?(?:wget|curl|sh|bash|nc)\s|\(\) ?\{)/,
    protocols: ['smtp'],
  }),
  probe('mail-user-probe', { places: LINE, words: ['vrfy ', 'expn '], shape: /(?<=^)(?:vrfy|expn) \S/, protocols: ['smtp'] }),
  exploit('vsftpd-cve-2011-2523', { places: NAME, words: [':)'], shape: /:\)$/, protocols: ['ftp'] }),
  exploit('proftpd-cve-2015-3306', { places: LINE, words: ['site cpfr', 'site cpto'], protocols: ['ftp'] }),
  exploit('proftpd-backdoor', { places: LINE, words: ['help acidbitchez'], protocols: ['ftp'] }),
  exploit('ftp-site-exec', { places: LINE, words: ['site exec'], shape: /(?<=^)site exec(?=\s)/, protocols: ['ftp'] }),
  exploit('ftp-format', {
    places: LINE | NAME,
    words: ['%n%n', '%s%s%s', '%x%x%x', '%.f%.f', '%08x'],
    shape: /(?:%n){2}|(?:%s){3}|(?:%x){3}|(?:%\.f){2}|(?:%08x[.\s]?){2}/,
  }),
  exploit('overflow', {
    places: LINE | NAME,
    words: [
      'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      '\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90',
      'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
      '................................',
    ],
    shape: /(?:a{160}|x{160}|\x90{16}|\.{160})/,
    protocols: ['ftp', 'smtp', 'pop3', 'imap', 'telnet', 'ssh'], // redis-benchmark writes rows of one letter
  }),
  exploit('shellcode', { places: OPAQUE | MAIL, words: ['\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90'], shape: /\x90{24}/ }),
  transfer('ftp-drop', {
    places: LINE,
    words: ['stor ', 'appe '],
    shape: /(?:stor|appe) [^\r\n]{0,160}(?:photo|avatar|info|images)\.(?:scr|lnk|exe|zip)|(?:stor|appe) [^\r\n]{0,160}\.(?:scr|elf|mips|arm\d?)$/,
    protocols: ['ftp'],
  }),

  // Windows
  exploit('bluekeep-cve-2019-0708', { places: AGENT | OPAQUE, words: ['ms_t120'], shape: /(?<=channels.{0,400}|\xc0.{0,400})ms_t120/ }),
  exploit('smbghost-cve-2020-0796', { places: OPAQUE, words: ['\xfcsmb'], shape: /(?<=^.{0,4})\xfcSMB/ }),
  exploit('eternalblue-ms17-010', {
    places: OPAQUE,
    words: ['\xffsmb2', '\xffsmb3', '\xffsmb%', '\xffsmb\xa0'],
    shape: /\xffSMB(?:2|3|\xa0|%.{24,120}\\.?P.?I.?P.?E.?\\)/,
    exact: true,
  }),
  probe('smb-without-session', { places: LINE, words: ['without a session'], protocols: ['smb'] }),
  order('remote-shell', { places: LINE, words: ['shell '], shape: /(?<=^)shell \S/, protocols: ['rdp'] }),

  // Files and names over UDP
  exploit('tftp-traversal', {
    places: LINE,
    words: ['read ', 'write '],
    shape: /(?<=^)(?:read|write) (?:\.{1,2}[/\\]|\/etc\/|[a-z]:\\|\\)/,
    protocols: ['tftp'],
  }),
  probe('ntp-monlist', { places: LINE, words: ['monlist'], protocols: ['ntp'] }),
  probe('dns-version', { places: LINE, words: ['version.bind', 'version.server', 'id.server', 'authors.bind', 'hostname.bind'], protocols: ['dns'] }),
  exploit('snmp-write', { places: LINE, words: ['set '], shape: /(?<=^)set /, protocols: ['snmp'] }),
  exploit('git-option', { places: SERVICE, words: ['--upload-pack=', '--receive-pack=', 'ext::sh'], shape: /--(?:upload|receive)-pack=|ext::sh/ }),
  exploit('rsync-traversal', { places: LINE, words: ['../'], shape: /(?:\.\.\/){2}/, protocols: ['rsync', 'git', 'tftp'] }),
];
