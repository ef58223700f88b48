/** Elasticsearch 7 without security, as it was shipped: tells of its cluster, has a few indices with nothing in them, runs no script. */
import { createHttpMachine, type HttpAnswer, type HttpRequest, type HttpSite, REASONS } from './http-talk.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { oncePerPersona, type Persona } from './persona.ts';

const JSON_TYPE = 'application/json; charset=UTF-8';
const TEXT_TYPE = 'text/plain; charset=UTF-8';

/** Version, Lucene, commit and date of the build, as the releases say them. */
const BUILDS: readonly [Build, ...Build[]] = [
  ['7.10.2', '8.7.0', '747e1cc71def077253878a59143c1f785afa92b9', '2021-01-13T00:42:12.435326Z'],
  ['7.9.3', '8.6.2', 'c4138e51121ef06a6404866cddc601906fe5c868', '2020-10-16T10:36:16.141335Z'],
  ['7.6.2', '8.4.0', 'ef48eb35cf30adf4db14086e8aabd07ef6fb113f', '2020-03-26T06:34:37.794943Z'],
];
type Build = readonly [version: string, lucene: string, commit: string, date: string];

const siteOf = oncePerPersona(createSite);

/** The machine of one connection. */
export function createElasticsearchTrap(context: TrapContext): TrapMachine {
  return createHttpMachine(context, siteOf(context.persona));
}

function createSite(persona: Persona): HttpSite {
  const [version, lucene, commit, date] = persona.pick('elasticsearch', BUILDS);
  const cluster = persona.pick('elasticsearch-cluster', ['elasticsearch', 'logging', 'production', 'graylog']);
  const id = (label: string): string => Buffer.from(persona.bytes(`elasticsearch:${label}`, 16)).toString('base64url');
  const indices = persona.pick('elasticsearch-indices', [
    ['logs', 'metrics'],
    ['customers', 'orders'],
    ['audit', 'sessions'],
  ]);

  const json = (status: number, value: unknown, pretty: boolean): HttpAnswer => ({
    status,
    type: JSON_TYPE,
    body: pretty ? `${spaced(value)}\n` : JSON.stringify(value),
  });
  const text = (body: string): HttpAnswer => ({ status: 200, type: TEXT_TYPE, body });
  const failed = (status: number, type: string, reason: string, pretty: boolean, more: object = {}): HttpAnswer =>
    json(status, { error: { root_cause: [{ type, reason, ...more }], type, reason, ...more }, status }, pretty);

  const root = {
    name: persona.hostName,
    cluster_name: cluster,
    cluster_uuid: id('cluster'),
    version: {
      number: version,
      build_flavor: 'default',
      build_type: persona.release.family === 'rhel' ? 'rpm' : 'deb',
      build_hash: commit,
      build_date: date,
      build_snapshot: false,
      lucene_version: lucene,
      minimum_wire_compatibility_version: '6.8.0',
      minimum_index_compatibility_version: '6.0.0-beta1',
    },
    tagline: 'You Know, for Search',
  };
  const health = {
    cluster_name: cluster,
    status: 'yellow',
    timed_out: false,
    number_of_nodes: 1,
    number_of_data_nodes: 1,
    active_primary_shards: 2,
    active_shards: 2,
    relocating_shards: 0,
    initializing_shards: 0,
    unassigned_shards: 2,
    delayed_unassigned_shards: 0,
    number_of_pending_tasks: 0,
    number_of_in_flight_fetch: 0,
    task_max_waiting_in_queue_millis: 0,
    active_shards_percent_as_number: 50,
  };
  const documents = (index: string): number => persona.between(`elasticsearch-documents:${index}`, 400, 90_000);

  function catIndices(verbose: boolean): string {
    const head = verbose ? 'health status index     uuid                   pri rep docs.count docs.deleted store.size pri.store.size\n' : '';
    return `${head}${indices.map(index => `yellow open   ${index.padEnd(9)} ${id(index)}   1   1 ${String(documents(index)).padStart(10)}            0     ${persona.between(`size:${index}`, 1, 9)}.${persona.between(`tenth:${index}`, 0, 9)}mb         1.1mb\n`).join('')}`;
  }

  function answer(request: HttpRequest): HttpAnswer {
    const { path, method, target } = request;
    const pretty = /[?&]pretty(?:[=&]|$)/.test(target) && !/[?&]pretty=false/.test(target);
    const [first = '', second = ''] = path.slice(1).split('/');
    if (path === '/') return json(200, root, true);
    if (path === '/favicon.ico') return { status: 200, type: 'image/x-icon', body: '' };
    if (path.startsWith('/_cat/indices')) return text(catIndices(/[?&]v(?:[=&]|$)/.test(target)));
    if (path.startsWith('/_cat/health')) return text(`${cluster} yellow 1 1 2 2 0 0 2 0 - 50.0%\n`);
    if (path.startsWith('/_cat/nodes')) return text(`127.0.0.1 21 87 3 0.10 0.12 0.09 dilmrt * ${persona.hostName}\n`);
    if (path === '/_cat' || path === '/_cat/') return text('=^.^=\n/_cat/allocation\n/_cat/shards\n/_cat/nodes\n/_cat/indices\n/_cat/health\n/_cat/count\n');
    if (path.startsWith('/_cluster/health')) return json(200, health, pretty);
    if (path.startsWith('/_nodes')) {
      const node = {
        name: persona.hostName,
        version,
        build_hash: commit,
        roles: ['data', 'ingest', 'master', 'ml', 'remote_cluster_client', 'transform'],
        os: { name: 'Linux', version: persona.release.kernel },
      };
      return json(200, { _nodes: { total: 1, successful: 1, failed: 0 }, cluster_name: cluster, nodes: { [id('node')]: node } }, pretty);
    }
    if (path.startsWith('/_aliases') || path.startsWith('/_alias'))
      return json(200, Object.fromEntries(indices.map(index => [index, { aliases: {} }])), pretty);
    if (first === '_search' || second === '_search' || second === '_msearch') {
      if (/script/.test(request.body)) return failed(400, 'illegal_argument_exception', 'cannot execute [inline] scripts', pretty);
      if (first !== '_search' && first !== '_all' && first !== '*' && !indices.includes(first)) return noIndex(first, pretty);
      return json(
        200,
        {
          took: 2,
          timed_out: false,
          _shards: { total: 2, successful: 2, skipped: 0, failed: 0 },
          hits: { total: { value: 0, relation: 'eq' }, max_score: null, hits: [] },
        },
        pretty,
      );
    }
    if (method === 'DELETE')
      return indices.includes(first) || first === '_all' || first === '*' ? json(200, { acknowledged: true }, pretty) : noIndex(first, pretty);
    if (method === 'PUT' || method === 'POST') {
      if (first.startsWith('_')) return failed(400, 'illegal_argument_exception', `request [${shown(path)}] contains unrecognized parameter`, pretty);
      if (second === '') return json(200, { acknowledged: true, shards_acknowledged: true, index: shown(first) }, pretty);
      return json(
        201,
        {
          _index: shown(first),
          _type: '_doc',
          _id: id('document').slice(0, 20),
          _version: 1,
          result: 'created',
          _shards: { total: 2, successful: 1, failed: 0 },
          _seq_no: 0,
          _primary_term: 1,
        },
        pretty,
      );
    }
    if (indices.includes(first))
      return json(
        200,
        { [first]: { aliases: {}, mappings: {}, settings: { index: { number_of_shards: '1', number_of_replicas: '1', uuid: id(first) } } } },
        pretty,
      );
    return first.startsWith('_')
      ? failed(400, 'illegal_argument_exception', `no handler found for uri [${shown(path)}] and method [${method}]`, pretty)
      : noIndex(first, pretty);
  }

  const noIndex = (index: string, pretty: boolean): HttpAnswer =>
    failed(404, 'index_not_found_exception', `no such index [${shown(index)}]`, pretty, {
      'resource.type': 'index_or_alias',
      'resource.id': shown(index),
      index_uuid: '_na_',
      index: shown(index),
    });

  return {
    protocol: 'elasticsearch',
    answer,
    refuse: () => ({ ...failed(400, 'illegal_argument_exception', 'text is empty (possibly HTTP/0.9)', false), close: true }),
    head(answer_, { version: asked, keepAlive }, bodyBytes) {
      const connection = keepAlive && asked === 'HTTP/1.0' ? 'connection: keep-alive\r\n' : !keepAlive && asked === 'HTTP/1.1' ? 'connection: close\r\n' : '';
      return `${asked === 'HTTP/1.0' ? 'HTTP/1.0' : 'HTTP/1.1'} ${answer_.status} ${REASONS[answer_.status] ?? 'OK'}\r\ncontent-type: ${answer_.type ?? JSON_TYPE}\r\ncontent-length: ${bodyBytes}\r\n${connection}`;
    },
  };
}

const shown = (text: string): string => text.slice(0, 255);

/** JSON as Elasticsearch prints it: a space on both sides of the colon. */
function spaced(value: unknown, indent = ''): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) return value.length === 0 ? '[ ]' : `[\n${value.map(item => `${deeper}${spaced(item, deeper)}`).join(',\n')}\n${indent}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return '{ }';
  return `{\n${entries.map(([name, item]) => `${deeper}${JSON.stringify(name)} : ${spaced(item, deeper)}`).join(',\n')}\n${indent}}`;
}
