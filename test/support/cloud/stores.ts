/** The hub's own adapter on the tables of an emulator, as the functions build it: from the environment. One emulator for each test file. */
import { unixMs } from '@honeymesh/intel/time';
import { awsStores, type Stores } from '#cloud/functions/aws/stores.ts';
import { variablesOf } from './coupling.ts';
import { accessTo } from './deployment.ts';
import type { Mesh, MeshHost } from './mesh-hosts.ts';
import type { Deployed } from './provided.ts';

export async function storesOf(deployed: Deployed): Promise<Stores> {
  const { endpoint, region, credentials } = accessTo(deployed.endpoint);
  const { accessKeyId, secretAccessKey } = credentials;
  Object.assign(process.env, { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  for (const name of ['ingest', 'fan-out', 'receipts'] as const) {
    for (const [key, value] of Object.entries(await variablesOf(deployed, name))) if (key.startsWith('HONEYMESH_TABLE_')) process.env[key] = value;
  }
  return awsStores();
}

/** Makes a host known as its introduction would have. */
export async function makeKnown({ peers }: Stores, mesh: Mesh, { certificate }: MeshHost): Promise<void> {
  const { nodeName, site, kid, edPublic, notAfter, bytes } = certificate;
  await peers.keepIdentity({ thing: nodeName, kid, site, edPublic, notAfter, votesFrom: unixMs(0), certificate: bytes, registrar: mesh.registrar });
}
