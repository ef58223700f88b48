/** The Docker Engine API on TCP (2375), open to all: it hears which images, commands and mounts are wanted, and starts nothing. */

import { goHead, goRefusal } from './http-go.ts';
import { createHttpMachine, type HttpAnswer, type HttpRequest, type HttpSite } from './http-talk.ts';
import { toHex } from './lines.ts';
import type { TrapContext, TrapMachine } from './machine.ts';
import { command, type Observation } from './observation.ts';

const JSON_TYPE = 'application/json';
const LONGEST_COMMAND = 1024;

/** Commit and time of the builds that the releases ship. */
const BUILDS: ReadonlyMap<string, readonly [commit: string, builtAt: string]> = new Map([
  ['20.10.5+dfsg1', ['363e9a8', '2021-08-20T09:12:43.000000000+00:00']],
  ['20.10.24+dfsg1', ['5d6db84', '2023-05-26T15:20:13.000000000+00:00']],
  ['24.0.7', ['24.0.7-0ubuntu2', '2024-05-10T13:19:24.000000000+00:00']],
  ['26.1.3', ['8e96db1', '2024-05-16T08:35:42.000000000+00:00']],
  ['26.1.4', ['de5c9cf', '2024-06-05T11:30:52.000000000+00:00']],
]);

/** The machine of one connection. */
export function createDockerTrap(context: TrapContext): TrapMachine {
  return createHttpMachine(context, createSite(context));
}

function createSite(context: TrapContext): HttpSite {
  const { persona, acceptedAt, random } = context;
  const { docker, dockerApi, go } = persona.versions;
  const [commit = '', builtAt = ''] = BUILDS.get(docker) ?? [];
  const common: readonly (readonly [string, string])[] = [
    ['Api-Version', dockerApi],
    ['Docker-Experimental', 'false'],
    ['Ostype', 'linux'],
    ['Server', `Docker/${docker} (linux)`],
  ];
  const json = (status: number, value: unknown, observations: readonly Observation[] = []): HttpAnswer => ({
    status,
    headers: common,
    type: JSON_TYPE,
    body: `${JSON.stringify(value)}\n`,
    observations,
  });
  const empty = (status: number): HttpAnswer => ({ status, headers: common });
  const missing: HttpAnswer = { status: 404, type: JSON_TYPE, body: '{"message":"page not found"}\n' };

  function version(): unknown {
    return {
      Platform: { Name: '' },
      Version: docker,
      ApiVersion: dockerApi,
      MinAPIVersion: '1.12',
      GitCommit: commit,
      GoVersion: go,
      Os: 'linux',
      Arch: 'amd64',
      KernelVersion: persona.release.kernel,
      BuildTime: builtAt,
    };
  }

  function info(): unknown {
    return {
      ID: toHex(persona.bytes('docker-id', 16)),
      Containers: 0,
      ContainersRunning: 0,
      ContainersPaused: 0,
      ContainersStopped: 0,
      Images: 1,
      Driver: 'overlay2',
      KernelVersion: persona.release.kernel,
      OperatingSystem: persona.release.name,
      OSType: 'linux',
      Architecture: 'x86_64',
      NCPU: persona.pick('processors', [1, 2, 4]),
      MemTotal: persona.pick('memory', [2, 4, 8]) * 1024 ** 3 - 150_000_000,
      DockerRootDir: '/var/lib/docker',
      Name: persona.hostName,
      ServerVersion: docker,
      DefaultRuntime: 'runc',
    };
  }

  function answer(request: HttpRequest): HttpAnswer {
    const path = request.path.replace(/^\/v\d+\.\d+(?=\/)/, '');
    const { method } = request;
    const container = /^\/containers\/([^/]{1,128})\/([a-z]+)$/.exec(path);
    if (path === '/_ping')
      return {
        status: 200,
        headers: [...common, ['Cache-Control', 'no-cache, no-store, must-revalidate'], ['Pragma', 'no-cache']],
        type: 'text/plain; charset=utf-8',
        body: method === 'HEAD' ? '' : 'OK',
      };
    if (method === 'OPTIONS') return empty(200);
    if (method === 'POST') {
      if (path === '/containers/create') return json(201, { Id: toHex(random.subarray(0, 32)), Warnings: [] }, wanted(request.body));
      if (path === '/images/create') return json(200, { status: 'Pulling from library', id: 'latest' });
      if (path === '/build') return json(200, { stream: 'Step 1/1\n' });
      if (path === '/auth') return { ...json(401, { message: 'unauthorized: incorrect username or password' }) };
      if (/^\/exec\/[^/]{1,128}\/start$/.test(path))
        return { status: 200, headers: common, type: 'application/vnd.docker.raw-stream', body: '', tunnel: 'docker exec' };
      if (container?.[2] === 'exec') return json(201, { Id: toHex(random.subarray(0, 32)) }, wanted(request.body));
      if (container?.[2] === 'wait') return json(200, { StatusCode: 0 });
      if (container !== null && /^(?:start|stop|kill|restart|resize)$/.test(container[2] ?? '')) return empty(204);
      if (container?.[2] === 'attach') return { status: 200, headers: common, type: 'application/vnd.docker.raw-stream', body: '', tunnel: 'docker attach' };
    }
    if (method === 'DELETE' && path.startsWith('/containers/')) return empty(204);
    if (method !== 'GET' && method !== 'HEAD') return missing;
    switch (path) {
      case '/version':
        return json(200, version());
      case '/info':
        return json(200, info());
      case '/containers/json':
        return json(200, []);
      case '/images/json':
        return json(200, [
          {
            Containers: -1,
            Created: Math.floor(persona.startedAt('docker-image', acceptedAt) / 1000),
            Id: `sha256:${toHex(persona.bytes('docker-image', 32))}`,
            RepoTags: ['alpine:latest'],
            Size: 7_797_760,
          },
        ]);
      case '/networks':
        return json(200, [{ Name: 'bridge', Id: toHex(persona.bytes('docker-network', 32)), Scope: 'local', Driver: 'bridge' }]);
      case '/volumes':
        return json(200, { Volumes: [], Warnings: null });
      case '/swarm':
        return json(503, {
          message: 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
        });
      default:
        if (container !== null || path.startsWith('/exec/'))
          return json(200, { Id: (container?.[1] ?? path.split('/')[2] ?? '').slice(0, 64), State: { Status: 'running', Running: true }, ExitCode: 0 });
        if (path.startsWith('/images/')) return json(200, { Id: `sha256:${toHex(persona.bytes('docker-image', 32))}` });
        return missing;
    }
  }

  return { protocol: 'docker', refusesBlankLines: true, answer, refuse: () => goRefusal, head: goHead };
}

/** The command that a container or an exec is to run: the beginning of its body, as it came. */
function wanted(body: string): readonly Observation[] {
  const line = ['Image', 'Entrypoint', 'Cmd', 'Binds']
    .flatMap(name => {
      const value = new RegExp(`"${name}"\\s*:\\s*("(?:[^"\\\\]|\\\\.){0,512}"|\\[[^\\]]{0,512}\\])`).exec(body)?.[1];
      return value === undefined ? [] : [`${name}=${value}`];
    })
    .join(' ');
  return line === '' ? [] : [command(line.slice(0, LONGEST_COMMAND))];
}
