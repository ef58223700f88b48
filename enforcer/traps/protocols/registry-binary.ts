/** The protocols whose messages are binary. */
import { ldap } from './ldap.ts';
import type { TrapProtocol } from './machine.ts';
import { mongodb } from './mongodb.ts';
import { mssql } from './mssql.ts';
import { mysql } from './mysql.ts';
import { postgresql } from './postgresql.ts';
import { rdp } from './rdp.ts';
import { smb } from './smb.ts';
import { vnc } from './vnc.ts';

export const BINARY_PROTOCOLS: readonly TrapProtocol[] = [mysql, postgresql, mssql, mongodb, smb, rdp, vnc, ldap];
