/** Messages of MongoDB's wire protocol: OP_QUERY of old drivers and every driver's first hello, OP_MSG of all others. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { type BsonDocument, type BsonOutDocument, parseBson, textOf, writeBson } from './bson.ts';
import { ByteReader, bytesOf, latin1, u32le } from './bytes.ts';

export const MONGODB_HEADER_BYTES = 16;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const MOST_SECTIONS = 16;
const MORE_TO_COME = 2;

export interface MongodbCommand {
  readonly requestId: number;
  readonly opcode: 'query' | 'msg';
  /** The command is the name of the first element. */
  readonly document: BsonDocument;
  readonly database: string;
  /** OP_QUERY on a real collection instead of `$cmd`. */
  readonly collection: string | undefined;
  /** The client wants no reply. */
  readonly silent: boolean;
}

/** Reads a whole message, header included. Never throws. */
export function parseMongodbMessage(message: Uint8Array): Parsed<MongodbCommand, 'malformed' | 'unknown-opcode'> {
  const reader = new ByteReader(message);
  reader.take(4);
  const requestId = reader.u32le();
  reader.take(4);
  const opcode = reader.u32le();
  if (opcode === OP_QUERY) return parseQuery(reader, requestId);
  if (opcode === OP_MSG) return parseMsg(reader, requestId);
  return unparsed('unknown-opcode');
}

function parseQuery(reader: ByteReader, requestId: number): Parsed<MongodbCommand, 'malformed'> {
  reader.take(4); // flags
  const namespace = latin1(reader.untilNul());
  reader.take(8); // skip, limit
  const query = parseBson(reader.rest());
  if (reader.truncated || !query.ok) return unparsed('malformed');
  const dot = namespace.indexOf('.');
  const [database, collection] = dot < 0 ? [namespace, ''] : [namespace.slice(0, dot), namespace.slice(dot + 1)];
  return parsed({
    requestId,
    opcode: 'query',
    document: query.value.document,
    database,
    collection: collection === '$cmd' ? undefined : collection,
    silent: false,
  });
}

function parseMsg(reader: ByteReader, requestId: number): Parsed<MongodbCommand, 'malformed'> {
  const flags = reader.u32le();
  let command: BsonDocument | undefined;
  for (let sections = 0; sections < MOST_SECTIONS && reader.left > 4; sections++) {
    const kind = reader.u8();
    if (kind === 0) {
      const body = parseBson(reader.rest());
      if (!body.ok) return unparsed('malformed');
      command ??= body.value.document;
      reader.take(body.value.bytes);
    } else if (kind === 1)
      reader.take(reader.u32le() - 4); // a sequence of documents to insert and the like: its size counts itself
    else return unparsed('malformed');
  }
  if (reader.truncated || command === undefined) return unparsed('malformed');
  return parsed({
    requestId,
    opcode: 'msg',
    document: command,
    database: textOf(command, '$db') ?? '',
    collection: undefined,
    silent: (flags & MORE_TO_COME) !== 0,
  });
}

/** The answer to `command`, in the form that it came in. */
export function mongodbReply(command: MongodbCommand, replyId: number, document: BsonOutDocument, failed: boolean): Uint8Array {
  const body = writeBson(document);
  if (command.opcode === 'msg') return message(replyId, command.requestId, OP_MSG, bytesOf(u32le(0), 0, body));
  const queryFailure = failed && command.collection !== undefined ? 2 : 0;
  return message(replyId, command.requestId, OP_REPLY, bytesOf(u32le(8 | queryFailure), new Uint8Array(8), u32le(0), u32le(1), body));
}

function message(id: number, answers: number, opcode: number, body: Uint8Array): Uint8Array {
  return bytesOf(u32le(MONGODB_HEADER_BYTES + body.length), u32le(id), u32le(answers), u32le(opcode), body);
}
