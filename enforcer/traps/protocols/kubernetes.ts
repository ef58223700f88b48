/** Kubernetes for whoever is nobody (system:anonymous): the API server tells versions and health, all else is forbidden; the kubelet tells nothing. */
import { goHead, goRefusal } from './http-go.ts';
import { headerOf } from './http-request.ts';
import { createHttpMachine, type HttpAnswer, type HttpRequest, type HttpSite } from './http-talk.ts';
import { toHex } from './lines.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { oncePerPersona } from './persona.ts';

const JSON_TYPE = 'application/json';

/** Releases with the Go that built them (dl.k8s.io). */
const RELEASES: readonly [Build, ...Build[]] = [
  ['v1.28.13', '2024-08-14T05:14:12Z', 'go1.22.5'],
  ['v1.29.8', '2024-08-14T05:09:46Z', 'go1.22.5'],
  ['v1.30.4', '2024-08-14T05:04:02Z', 'go1.22.5'],
];
type Build = readonly [version: string, built: string, go: string];

const VERBS = new Map([
  ['GET', 'list'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);

/** The machine of one connection. */
export function createKubernetesTrap(context: TrapContext): TrapMachine {
  return createHttpMachine(context, createSite(context));
}

/** The kubelet of a node (10250), as kubeadm sets it up. Authorisation comes after routing, so what it does not know is not found. */
export function createKubeletTrap(context: TrapContext): TrapMachine {
  const known = /^\/(?:pods|runningpods|healthz|metrics|stats|spec|run|exec|attach|portForward|containerLogs|logs|configz|debug|checkpoint)(?:\/|$)/;
  return createHttpMachine(context, {
    protocol: 'kubernetes',
    refusesBlankLines: true,
    answer: ({ path }) =>
      known.test(path)
        ? { status: 401, type: 'text/plain; charset=utf-8', body: 'Unauthorized' }
        : { status: 404, type: 'text/plain; charset=utf-8', headers: [['X-Content-Type-Options', 'nosniff']], body: '404 page not found\n' },
    refuse: () => goRefusal,
    head: goHead,
  });
}

/** What the cluster of a persona is like. */
const clusterOf = oncePerPersona(persona => {
  const uid = (label: string): string => {
    const hex = toHex(persona.bytes(`kubernetes:${label}`, 16));
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-9${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
  const [version, built, go] = persona.pick('kubernetes', RELEASES);
  const priority: readonly (readonly [string, string])[] = [
    ['X-Kubernetes-Pf-Flowschema-Uid', uid('flow-schema')],
    ['X-Kubernetes-Pf-Prioritylevel-Uid', uid('priority-level')],
  ];
  return { version, built, go, commit: toHex(persona.bytes(`kubernetes:${version}`, 20)), priority };
});

function createSite({ persona, random }: TrapContext): HttpSite {
  const { version, built, go, commit, priority } = clusterOf(persona);
  const audit = `${toHex(random.subarray(0, 4))}-${toHex(random.subarray(4, 6))}-4${toHex(random.subarray(6, 8)).slice(1)}-a${toHex(random.subarray(8, 10)).slice(1)}-${toHex(random.subarray(10, 16))}`;

  const json = (status: number, value: unknown, indent = 2): HttpAnswer => ({
    status,
    type: JSON_TYPE,
    headers: [
      ['Audit-Id', audit],
      ['Cache-Control', 'no-cache, private'],
      ...(status === 403 ? [['X-Content-Type-Options', 'nosniff'] as const] : []),
      ...priority,
    ],
    body: JSON.stringify(value, undefined, indent) + (indent > 0 && status < 400 ? '' : '\n'),
  });
  const failure = (code: number, reason: string, message: string, details: unknown = {}): HttpAnswer =>
    json(code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, details, code });

  function answer(request: HttpRequest): HttpAnswer {
    const { path, method } = request;
    // A token that nobody issued is unauthorised; no token at all is system:anonymous.
    if (headerOf(request, 'authorization') !== undefined) return failure(401, 'Unauthorized', 'Unauthorized', undefined);
    if (path === '/version' || path === '/version/') {
      const [, major = '1', minor = '30'] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
      return json(200, {
        major,
        minor,
        gitVersion: version,
        gitCommit: commit,
        gitTreeState: 'clean',
        buildDate: built,
        goVersion: go,
        compiler: 'gc',
        platform: 'linux/amd64',
      });
    }
    if (path === '/healthz' || path === '/livez' || path === '/readyz') return { ...json(200, ''), type: 'text/plain; charset=utf-8', body: 'ok' };
    const resource = resourceOf(path);
    if (resource === undefined) {
      const verb = method === 'GET' ? 'get' : method.toLowerCase();
      return failure(403, 'Forbidden', `forbidden: User "system:anonymous" cannot ${verb} path "${path.slice(0, 256)}"`);
    }
    const verb = method === 'GET' && resource.name !== '' ? 'get' : (VERBS.get(method) ?? method.toLowerCase());
    const scope = resource.namespace === '' ? 'at the cluster scope' : `in the namespace "${resource.namespace}"`;
    const subject = `${resource.plural}${resource.name === '' ? '' : ` "${resource.name}"`}`;
    return failure(
      403,
      'Forbidden',
      `${subject} is forbidden: User "system:anonymous" cannot ${verb} resource "${resource.plural}" in API group "${resource.group}" ${scope}`,
      {
        ...(resource.name === '' ? {} : { name: resource.name }),
        kind: resource.plural,
      },
    );
  }

  return { protocol: 'kubernetes', refusesBlankLines: true, answer, refuse: () => goRefusal, head: goHead };
}

interface Resource {
  readonly group: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
}

/** /api/v1[/namespaces/N]/PLURAL[/NAME] and /apis/GROUP/VERSION/...; `undefined` for a path without a resource. */
function resourceOf(path: string): Resource | undefined {
  const match = /^\/(?:api\/v1|apis\/([^/]{1,64})\/[^/]{1,16})\/(?:namespaces\/([^/]{1,64})\/)?([a-z]{1,64})(?:\/([^/]{1,128}))?/.exec(path);
  if (match === null) return undefined;
  const [, group = '', namespace = '', plural = '', name = ''] = match;
  return { group, namespace, plural, name };
}
