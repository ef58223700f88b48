/** Scanners, by the names that they give themselves and by the words of their probes. */
import { ACT, AGENT, BODY, HEADER, HEADER_NAME, LINE, NAME, OPAQUE, probe, type Rule, SERVICE, TARGET } from './rules.ts';

/** A name that stands for itself: no part of a longer word. */
const calls = (name: string, words: readonly string[]): Rule =>
  probe(name, { places: AGENT, words, shape: new RegExp(`(?<![a-z])(?:${words.map(word => word.replace(/[.()]/g, '\\$&')).join('|')})(?![a-z])`) });

export const SCANNER_RULES: readonly Rule[] = [
  // By name
  calls('nmap', ['nmap']),
  probe('nmap', {
    places: TARGET | SERVICE | NAME,
    words: [
      '/nice ports,/tri',
      '/nice%20ports',
      '/nmaplowercheck',
      '/nmapuppercheck',
      '/evox/about',
      'sip:nm',
      'mstshash=nmap',
      'random1random2random3random4',
    ],
    shape: /\/nice(?: |%20)ports|\/nmap(?:lower|upper)check|\/evox\/about$|sip:nm(?:2?@nm2?)?(?=$|[ ;>])|mstshash=nmap|random1random2/,
  }),
  probe('nmap', { places: HEADER | BODY | LINE, words: ['nmap scripting engine', 'nmap.scanme'] }),
  probe('nmap', { places: LINE, words: ['connect nmap', 'session-setup nmap', 'login nmap', 'postgresql nmap'] }),
  calls('masscan', ['masscan']),
  calls('zgrab', ['zgrab']),
  calls('nuclei', ['nuclei', 'projectdiscovery', 'interactsh', 'httpx - open-source']),
  probe('nuclei', {
    places: TARGET | HEADER | BODY | SERVICE,
    words: ['.oast.', '.interact.sh', '.burpcollaborator.net', '.oastify.com', '.dnslog.cn', '.ceye.io', '.bxss.me', '.r87.me'],
    shape: /\.(?:oast\.(?:pro|live|site|online|fun|me)|interact\.sh|burpcollaborator\.net|oastify\.com|dnslog\.cn|ceye\.io|bxss\.me|r87\.me)/,
  }),
  calls('nikto', ['nikto']),
  calls('sqlmap', ['sqlmap']),
  calls('openvas', ['openvas', 'greenbone']),
  calls('nessus', ['nessus', 'tenable']),
  probe('nessus', { places: TARGET | HEADER, words: ['nessus=', '/nessus', 'nasl_'], shape: /nessus=|\/nessus[\w-]{0,24}(?=$|[/.?])|nasl_/ }),
  calls(
    'scanner',
    `gobuster dirbuster dirsearch feroxbuster ffuf wfuzz wpscan joomscan cmsmap droopescan acunetix netsparker invicti qualys arachni w3af whatweb jaeles commix xsstrike burp
    burpsuite owasp zaproxy skipfish jorgee zmeu morfeus muieblackcat havij pangolin webshag detectify intruder.io probely rapid7 insightappsec xray goby afrog yakit fscan vulscan
    subfinder amass gospider hakrawler aquatone eyewitness shortname_scanner crackmapexec netexec metasploit evilginx slowhttptest slowloris weevely fimap uniscan sslyze testssl`.split(
      /\s+/,
    ),
  ),
  calls(
    'internet-census',
    `censys censysinspect shodan expanse internetmeasurement internet-measurement l9explore l9tcpid leakix netsystemsresearch binaryedge onyphe fofa zoomeye hunter.how criminalip
    paloaltonetworks cortex-xpanse stretchoid driftnet odin getodin securitytrails shadowserver genomecrawler genomecrawlerd visionheight infrawatch modatscanner cypex ips-agent keydrop
    bitsight recordedfuture assetnote nokia-genome research-scanner securityscan internet-census`.split(/\s+/),
  ),
  calls('internet-census', ['hello from palo alto', 'research scanner', 'nokia genome']),
  calls('botnet-agent', [
    'hello, world',
    'hello world',
    'hello-world',
    'mozila',
    'libredtail-http',
    'custom-asynchttpclient',
    'r00ts3c',
    'rondo',
    'mirai',
    'lolkek',
    'b4ckdoor',
    'xfa1',
    'kittyproxy',
  ]),
  calls('password-guesser', ['hydra', 'medusa', 'ncrack', 'patator', 'brutus', 'brutespray', 'crowbar', 'nsssh2', 'bruteforce']),
  probe('password-guesser', { places: LINE, words: ['ncrack_user', 'mstshash=hydra'] }),
  probe('sip-scanner', {
    places: AGENT | LINE | OPAQUE | HEADER,
    words: [
      'friendly-scanner',
      'sipvicious',
      'sipcli',
      'sundayddr',
      'sip-scan',
      'iwar',
      'vaxsipuseragent',
      'pplsip',
      'friendly-request',
      'sipptk',
      'svmap',
      'svwar',
      'svcrack',
      'sipsak',
    ],
    shape: /friendly-(?:scanner|request)|sipvicious|sipcli|sundayddr|sip-scan|(?<![a-z])iwar(?![a-z])|vaxsipuseragent|pplsip|sv(?:map|war|crack)|sipsak/,
    protocols: ['sip', 'unknown', 'generic-udp'],
  }),
  probe('weblogic-t3', { places: OPAQUE, words: ['t3 '], shape: /(?<=^)t3 \d{1,2}\.\d/ }),

  probe('proxy-probe', {
    places: ACT | LINE,
    words: ['connect '],
    shape: /(?<=^)CONNECT [^ ]{1,128}:(?:25|465|587|2525)$/,
    protocols: ['http-proxy', 'socks', 'http', 'unknown'],
  }),
  probe('header-probe', { places: HEADER_NAME, words: ['x-scan-', 'x-scanner', 'x-nessus', 'acunetix', 'x-wipp'] }),
];
