import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Objects } from '../answers/answer.ts';
import { setting } from '../shared/settings.ts';
import { now } from './time.ts';

const LINK_SECONDS = 300;

export interface AwsObjects extends Objects {
  /** Null: it is longer than that. */
  read(key: string, longestBytes: number): Promise<Uint8Array | null>;
}

export function awsObjects(): AwsObjects {
  // What a host sends has no checksum of the SDK's in it.
  const client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' });
  const Bucket = setting(process.env, 'HONEYMESH_BUCKET');
  const link = async (command: GetObjectCommand | PutObjectCommand) => ({
    url: await getSignedUrl(client, command, { expiresIn: LINK_SECONDS }),
    expiresAt: now() + LINK_SECONDS * 1_000,
  });
  return {
    put: async (Key, Body) => void (await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType: 'application/octet-stream' }))),
    link: Key => link(new GetObjectCommand({ Bucket, Key })),
    // The length is signed: whoever has the link cannot fill the bucket.
    offer: (Key, bytes) => link(new PutObjectCommand({ Bucket, Key, ContentLength: bytes })),
    async read(Key, longestBytes) {
      const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key }));
      if (Body === undefined || ContentLength === undefined || ContentLength > longestBytes) return null;
      return Body.transformToByteArray();
    },
  };
}
