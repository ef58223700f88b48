/** The structures of memberlist's messages (net.go): Go's names, types and order of declaration. */
import { LONGEST_ADDRESS, LONGEST_ERROR, LONGEST_META, LONGEST_NAME, LONGEST_RAW, LONGEST_VERSIONS } from './limits.ts';
import { bool, bytes, bytesOrNil, int, omitEmpty, structure, text, u8, u16, u32 } from './structure.ts';

const name = text(LONGEST_NAME);
const address = bytes(LONGEST_ADDRESS);

const replyTo = { SourceAddr: omitEmpty(address), SourcePort: omitEmpty(u16), SourceNode: omitEmpty(name) };
const accusation = { Incarnation: u32, Node: name, From: name };

export const PING = structure({ SeqNo: u32, Node: name, ...replyTo });
export const INDIRECT_PING = structure({ SeqNo: u32, Target: address, Port: u16, Node: name, Nack: bool, ...replyTo });
export const ACK = structure({ SeqNo: u32, Payload: bytesOrNil(LONGEST_RAW) });
export const NACK = structure({ SeqNo: u32 });
export const SUSPECT = structure(accusation);
export const DEAD = structure(accusation);
export const ALIVE = structure({ Incarnation: u32, Node: name, Addr: address, Port: u16, Meta: bytes(LONGEST_META), Vsn: bytes(LONGEST_VERSIONS) });
export const ERROR = structure({ Error: text(LONGEST_ERROR) });
export const PUSH_PULL_HEADER = structure({ Nodes: int, UserStateLen: int, Join: bool });
export const USER_HEADER = structure({ UserMsgLen: int });
export const MEMBER = structure({
  Name: name,
  Addr: address,
  Port: u16,
  Meta: bytes(LONGEST_META),
  Incarnation: u32,
  State: int,
  Vsn: bytes(LONGEST_VERSIONS),
});

/** The only algorithm there is, and the bytes: bounded by the cursor alone, for they may be a whole frame. */
export const COMPRESSED = structure({ Algo: u8, Buf: bytes(Number.POSITIVE_INFINITY) });
