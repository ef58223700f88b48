/**
 * Operating systems that a persona can have, each with the versions of its own archive (security updates of one day, so that they fit together).
 * All of them exist: packages.debian.org, packages.ubuntu.com, Rocky Linux 8 and 9 (AppStream, EPEL). Third-party packages are drawn for all alike.
 */
export type Family = 'debian' | 'ubuntu' | 'rhel';

export interface Release {
  readonly family: Family;
  /** As in `PRETTY_NAME` of /etc/os-release. */
  readonly name: string;
  /** As servers put it into banners: `Debian`, `Ubuntu`, `Rocky Linux`. */
  readonly vendor: string;
  /** `uname -r` */
  readonly kernel: string;
  /** `uname -v` */
  readonly kernelBuild: string;
  readonly versions: Versions;
}

export interface Versions {
  /** After `SSH-2.0-`. */
  readonly ssh: string;
  readonly vsftpd: string;
  readonly proftpd: string;
  readonly exim: string;
  readonly apache: string;
  readonly nginx: string;
  readonly php: string;
  readonly tomcat: string;
  readonly openssl: string;
  readonly redis: string;
  /** As the server says it in its handshake. */
  readonly mariadb: string;
  /** As the server says it in its handshake; `null` where the archive has none. */
  readonly mysql: string | null;
  readonly postgresql: string;
  readonly memcached: string;
  readonly mosquitto: string;
  /** As `version.bind` answers. */
  readonly bind: string;
  readonly samba: string;
  readonly openldap: string;
  readonly netSnmp: string;
  /** As ntpq's `version` answers; `null` where the archive has chrony, which answers nothing. */
  readonly ntp: string | null;
  readonly squid: string;
  readonly tinyproxy: string;
  readonly git: string;
  readonly docker: string;
  readonly dockerApi: string;
  readonly go: string;
  readonly asterisk: string;
  readonly xrdp: string;
  readonly tigervnc: string;
  /** What the daemon says of its protocol and digests. */
  readonly rsync: string;
}

const BOOKWORM: Release = {
  family: 'debian',
  name: 'Debian GNU/Linux 12 (bookworm)',
  vendor: 'Debian',
  kernel: '6.1.0-25-amd64',
  kernelBuild: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)',
  versions: {
    ssh: 'OpenSSH_9.2p1 Debian-2+deb12u3',
    vsftpd: '3.0.3',
    proftpd: '1.3.8',
    exim: '4.96',
    apache: '2.4.62',
    nginx: '1.22.1',
    php: '8.2.24',
    tomcat: '10.1.6',
    openssl: '3.0.14',
    redis: '7.0.15',
    mariadb: '5.5.5-10.11.6-MariaDB-0+deb12u1',
    mysql: null,
    postgresql: '15.8',
    memcached: '1.6.18',
    mosquitto: '2.0.11',
    bind: '9.18.28-1~deb12u2-Debian',
    samba: '4.17.12-Debian',
    openldap: '2.5.13',
    netSnmp: '5.9.3',
    ntp: 'ntpd ntpsec-1.2.2',
    squid: '5.7',
    tinyproxy: '1.11.1',
    git: '2.39.2',
    docker: '20.10.24+dfsg1',
    dockerApi: '1.41',
    go: 'go1.19.8',
    asterisk: '20.9.2',
    xrdp: '0.9.21.1',
    tigervnc: '1.12.0',
    rsync: '31.0 sha512 sha256 sha1 md5 md4',
  },
};

const BULLSEYE: Release = {
  family: 'debian',
  name: 'Debian GNU/Linux 11 (bullseye)',
  vendor: 'Debian',
  kernel: '5.10.0-32-amd64',
  kernelBuild: '#1 SMP Debian 5.10.223-1 (2024-08-10)',
  versions: {
    ssh: 'OpenSSH_8.4p1 Debian-5+deb11u3',
    vsftpd: '3.0.3',
    proftpd: '1.3.7a',
    exim: '4.94.2',
    apache: '2.4.61',
    nginx: '1.18.0',
    php: '7.4.33',
    tomcat: '9.0.43',
    openssl: '1.1.1w',
    redis: '6.0.16',
    mariadb: '5.5.5-10.5.23-MariaDB-0+deb11u1',
    mysql: null,
    postgresql: '13.16',
    memcached: '1.6.9',
    mosquitto: '2.0.11',
    bind: '9.16.50-Debian',
    samba: '4.13.13-Debian',
    openldap: '2.4.57',
    netSnmp: '5.9',
    ntp: 'ntpd 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)',
    squid: '4.13',
    tinyproxy: '1.10.0',
    git: '2.30.2',
    docker: '20.10.5+dfsg1',
    dockerApi: '1.41',
    go: 'go1.15.15',
    asterisk: '16.28.0~dfsg-0+deb11u4',
    xrdp: '0.9.21.1',
    tigervnc: '1.11.0',
    rsync: '31.0',
  },
};

const JAMMY: Release = {
  family: 'ubuntu',
  name: 'Ubuntu 22.04.4 LTS',
  vendor: 'Ubuntu',
  kernel: '5.15.0-119-generic',
  kernelBuild: '#129-Ubuntu SMP Fri Aug 2 19:25:20 UTC 2024',
  versions: {
    ssh: 'OpenSSH_8.9p1 Ubuntu-3ubuntu0.10',
    vsftpd: '3.0.5',
    proftpd: '1.3.7c',
    exim: '4.95',
    apache: '2.4.52',
    nginx: '1.18.0',
    php: '8.1.2-1ubuntu2.18',
    tomcat: '9.0.58',
    openssl: '3.0.2',
    redis: '6.0.16',
    mariadb: '5.5.5-10.6.18-MariaDB-0ubuntu0.22.04.1',
    mysql: '8.0.39-0ubuntu0.22.04.1',
    postgresql: '14.13',
    memcached: '1.6.14',
    mosquitto: '2.0.11',
    bind: '9.18.28-0ubuntu0.22.04.1-Ubuntu',
    samba: '4.15.13-Ubuntu',
    openldap: '2.5.18',
    netSnmp: '5.9.1',
    ntp: 'ntpd 4.2.8p15@1.3728-o Wed Feb 16 17:13:02 UTC 2022 (1)',
    squid: '5.7',
    tinyproxy: '1.11.0',
    git: '2.34.1',
    docker: '24.0.7',
    dockerApi: '1.43',
    go: 'go1.21.1',
    asterisk: '18.10.0~dfsg+~cs6.10.40431411-2',
    xrdp: '0.9.17',
    tigervnc: '1.12.0',
    rsync: '31.0 sha512 sha256 sha1 md5 md4',
  },
};

const NOBLE: Release = {
  family: 'ubuntu',
  name: 'Ubuntu 24.04.1 LTS',
  vendor: 'Ubuntu',
  kernel: '6.8.0-41-generic',
  kernelBuild: '#41-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug  2 20:41:06 UTC 2024',
  versions: {
    ssh: 'OpenSSH_9.6p1 Ubuntu-3ubuntu13.5',
    vsftpd: '3.0.5',
    proftpd: '1.3.8b',
    exim: '4.97',
    apache: '2.4.58',
    nginx: '1.24.0',
    php: '8.3.6',
    tomcat: '10.1.16',
    openssl: '3.0.13',
    redis: '7.0.15',
    mariadb: '5.5.5-10.11.8-MariaDB-0ubuntu0.24.04.1',
    mysql: '8.0.39-0ubuntu0.24.04.2',
    postgresql: '16.4',
    memcached: '1.6.24',
    mosquitto: '2.0.18',
    bind: '9.18.28-0ubuntu0.24.04.1-Ubuntu',
    samba: '4.19.5-Ubuntu',
    openldap: '2.6.7',
    netSnmp: '5.9.4',
    ntp: 'ntpd ntpsec-1.2.2',
    squid: '6.6',
    tinyproxy: '1.11.1',
    git: '2.43.0',
    docker: '24.0.7',
    dockerApi: '1.43',
    go: 'go1.22.2',
    asterisk: '20.6.0~dfsg+~cs6.13.40431414-2build5',
    xrdp: '0.9.24',
    tigervnc: '1.13.1',
    rsync: '31.0 sha512 sha256 sha1 md5 md4',
  },
};

const ROCKY_9: Release = {
  family: 'rhel',
  name: 'Rocky Linux 9.4 (Blue Onyx)',
  vendor: 'Rocky Linux',
  kernel: '5.14.0-427.28.1.el9_4.x86_64',
  kernelBuild: '#1 SMP PREEMPT_DYNAMIC Wed Jul 31 15:28:35 UTC 2024',
  versions: {
    ssh: 'OpenSSH_8.7',
    vsftpd: '3.0.5',
    proftpd: '1.3.8b',
    exim: '4.97.1',
    apache: '2.4.57',
    nginx: '1.20.1',
    php: '8.0.30',
    tomcat: '9.0.87',
    openssl: '3.0.7',
    redis: '6.2.7',
    mariadb: '5.5.5-10.5.22-MariaDB',
    mysql: '8.0.36',
    postgresql: '13.14',
    memcached: '1.6.9',
    mosquitto: '2.0.18',
    bind: '9.16.23-RH',
    samba: '4.19.4',
    openldap: '2.6.6',
    netSnmp: '5.9.1',
    ntp: null,
    squid: '5.5',
    tinyproxy: '1.11.1',
    git: '2.43.5',
    docker: '26.1.4',
    dockerApi: '1.45',
    go: 'go1.21.11',
    asterisk: '18.12.1',
    xrdp: '0.10.0',
    tigervnc: '1.13.1',
    rsync: '31.0',
  },
};

const ROCKY_8: Release = {
  family: 'rhel',
  name: 'Rocky Linux 8.10 (Green Obsidian)',
  vendor: 'Rocky Linux',
  kernel: '4.18.0-553.16.1.el8_10.x86_64',
  kernelBuild: '#1 SMP Thu Aug 8 17:47:08 UTC 2024',
  versions: {
    ssh: 'OpenSSH_8.0',
    vsftpd: '3.0.3',
    proftpd: '1.3.6e',
    exim: '4.97.1',
    apache: '2.4.37',
    nginx: '1.14.1',
    php: '7.2.24',
    tomcat: '9.0.87',
    openssl: '1.1.1k',
    redis: '5.0.3',
    mariadb: '5.5.5-10.3.39-MariaDB',
    mysql: '8.0.36',
    postgresql: '10.23',
    memcached: '1.5.22',
    mosquitto: '1.6.15',
    bind: '9.11.36-RedHat-9.11.36-14.el8_10',
    samba: '4.19.4',
    openldap: '2.4.46',
    netSnmp: '5.8',
    ntp: null,
    squid: '4.15',
    tinyproxy: '1.8.4',
    git: '2.43.5',
    docker: '26.1.3',
    dockerApi: '1.45',
    go: 'go1.21.10',
    asterisk: '16.30.1',
    xrdp: '0.10.0',
    tigervnc: '1.13.1',
    rsync: '31.0',
  },
};

export const RELEASES = [BOOKWORM, BULLSEYE, JAMMY, NOBLE, ROCKY_9, ROCKY_8] as const;
