/** ArcSight's Common Event Format, version 0, one line an event; a syslog header, where one is wanted, comes from what ships it. */
import type { EventRow } from '../../control/operations.ts';
import { type EventExport, type ExportProof, type ExportSurroundings, placeOf, severityOf } from './form.ts';

/** Characters of the dictionary's fields. */
const LONGEST = { name: 512, msg: 1_023, act: 63, cat: 1_023, text: 4_000, dvchost: 100 } as const;

export function cefExport({ host, version }: ExportSurroundings): EventExport {
  const line = (signature: string, name: string, severity: number, fields: readonly (readonly [string, string | number])[]): string =>
    `CEF:0|HoneyMesh|HoneyMesh|${header(version)}|${header(signature)}|${header(name.slice(0, LONGEST.name))}|${severity}|${fields
      .map(([key, value]) => `${key}=${extension(String(value))}`)
      .join(' ')}\n`;

  return {
    head: '',
    rows: page => page.map(row => line(row.kind, row.summary, severityOf(row), fieldsOf(row, host))).join(''),
    proof: proof => line('export-proof', 'integrity proof of this export', 0, proofFields(proof, host)),
    foot: '',
  };
}

function fieldsOf(row: EventRow, host: string): readonly (readonly [string, string | number])[] {
  const fields: (readonly [string, string | number])[] = [
    ['rt', Date.parse(row.at)],
    ['externalId', row.id],
    ['dvchost', host.slice(0, LONGEST.dvchost)],
    ['act', row.kind.slice(0, LONGEST.act)],
    ['deviceDirection', 0],
    ['msg', row.summary.slice(0, LONGEST.msg)],
  ];
  if (row.source !== null) {
    const source = placeOf(row.source);
    if (!source.address) fields.push(['cs5', source.text], ['cs5Label', 'sourcePrefix']);
    else if (source.family === 4) fields.push(['src', source.text]);
    else fields.push(['c6a2', source.text], ['c6a2Label', 'Source IPv6 Address']); // `src` holds IPv4 alone
  }
  if (row.port !== null) fields.push(['dpt', row.port]);
  if (row.protocol !== null) fields.push(['proto', row.protocol.toUpperCase()]);
  if (row.reasons.length > 0) fields.push(['cat', row.reasons.join(',').slice(0, LONGEST.cat)]);
  if (row.tier !== null) fields.push(['cs1', row.tier], ['cs1Label', 'evidenceTier']);
  if (row.origin !== null) fields.push(['cs2', row.origin], ['cs2Label', 'origin']);
  if (row.techniques.length > 0) fields.push(['cs3', row.techniques.join(',')], ['cs3Label', 'attackTechniques']);
  if (row.target !== undefined) fields.push(['cs4', row.target], ['cs4Label', 'banTarget']);
  if (row.detail !== undefined) fields.push(['cs6', JSON.stringify(row.detail).slice(0, LONGEST.text)], ['cs6Label', 'detail']);
  if (row.wouldBan !== undefined) fields.push(['outcome', row.wouldBan ? 'would-ban' : 'none']);
  return fields;
}

const proofFields = (proof: ExportProof, host: string): readonly (readonly [string, string | number])[] => [
  ['rt', Date.parse(proof.exportedAt)],
  ['dvchost', host.slice(0, LONGEST.dvchost)],
  ['fileHash', proof.sha256],
  ['fsize', proof.bytes],
  ['cnt', proof.events.count],
  ['cs1', proof.log.head],
  ['cs1Label', 'logHead'],
  ['cn1', proof.log.lastId],
  ['cn1Label', 'logLastId'],
  ['cs6', JSON.stringify(proof).slice(0, LONGEST.text)],
  ['cs6Label', 'proof'],
];

/** A header field knows no line break at all; `|` and the backslash are escaped. */
const header = (text: string): string =>
  oneLine(text)
    .replace(/[\r\n]+/g, ' ')
    .replace(/[\\|]/g, '\\$&');

/** In the extension `=` and the backslash are escaped, and line breaks are `\n` and `\r`. */
const extension = (text: string): string => oneLine(text).replace(/[\\=]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r');

/** What else some reader takes for the end of a line, or cuts the record at. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
const oneLine = (text: string): string => text.toWellFormed().replace(/[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
