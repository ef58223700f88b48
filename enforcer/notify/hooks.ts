/** The channels over HTTP: signed JSON for programs (Standard Webhooks), a text for chats (what Slack takes). */
import { createHmac } from 'node:crypto';
import type { UnixMs } from '@honeymesh/intel/time';
import type { HookConfig, NotifyConfig } from '../config/notify-fields.ts';
import { isHookUrl } from '../config/notify-fields.ts';
import { headline } from './digest.ts';
import type { Channel, Delivery, Digest } from './port.ts';
import { post } from './post.ts';

/** Gives the text of a file, trimmed. Throws where it cannot be read. Read each time: a changed secret needs no restart. */
export type ReadText = (path: string) => string;

export interface HookDeps {
  readonly now: () => UnixMs;
  readonly readText: ReadText;
}

const CHAT_EVENTS = 10;
const LONGEST_LINE = 300;

export function createWebhook(config: NonNullable<NotifyConfig['webhook']>, { now, readText }: HookDeps): Channel {
  return {
    name: 'webhook',
    deliver: (digest, signal) =>
      withUrl('webhook', config, readText, (url, ca) => {
        const secret = keyOf(config.secret ?? readText(config.secretFile ?? ''));
        const body = JSON.stringify({ type: digest.test ? 'honeymesh.test' : 'honeymesh.digest', text: headline(digest), ...digest });
        const timestamp = String(Math.floor(now() / 1_000));
        return post(
          {
            url,
            ...ca,
            body,
            headers: { 'webhook-id': digest.id, 'webhook-timestamp': timestamp, 'webhook-signature': signatureOf(secret, digest.id, timestamp, body) },
          },
          'webhook',
          signal,
        );
      }),
  };
}

/** Standard Webhooks, symmetric: HMAC-SHA-256 over `id.timestamp.body`. Whoever verifies refuses an old timestamp, so that a copy is worth nothing. */
export const signatureOf = (key: Uint8Array, id: string, timestamp: string, body: string): string =>
  `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;

/** `whsec_` and base64, as the standard's libraries want it; any other text is the key as it is. */
export const keyOf = (secret: string): Uint8Array => (secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret));

export function createSlack(config: HookConfig, { readText }: HookDeps): Channel {
  return {
    name: 'slack',
    deliver: (digest, signal) =>
      withUrl('slack', config, readText, (url, ca) =>
        post({ url, ...ca, headers: {}, body: JSON.stringify({ text: chatText(digest), unfurl_links: false, unfurl_media: false }) }, 'slack', signal),
      ),
  };
}

export function chatText(digest: Digest): string {
  const { events, total } = digest;
  const lines = events.slice(0, CHAT_EVENTS).map(({ at, kind, summary }) => `• ${at} ${kind}: ${tame(summary)}`);
  const more = total - lines.length;
  return [`*${tame(headline(digest))}*`, ...lines, ...(more > 0 ? [`and ${more} more: "honeymesh events list"`] : [])].join('\n');
}

/** An attacker's words call nobody, link nowhere and look like nothing but words. */
const tame = (text: string): string =>
  text
    .slice(0, LONGEST_LINE)
    .toWellFormed()
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[@*_~`[\]]|:\/\//g, found => (found === '://' ? ':\u200b//' : `${found}\u200b`))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');

async function withUrl(
  name: 'webhook' | 'slack',
  { url, urlFile, ca }: HookConfig,
  readText: ReadText,
  send: (url: string, ca: { readonly ca?: string }) => Promise<Delivery>,
): Promise<Delivery> {
  try {
    const to = url ?? readText(urlFile ?? '');
    if (!isHookUrl(to))
      return { ok: false, why: `${name}: what ${urlFile} holds is no https URL`, fix: 'write the URL into it, and nothing else', final: false };
    return await send(to, ca === undefined ? {} : { ca: readText(ca) });
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    return {
      ok: false,
      why: `${name}: ${path ?? 'a file'} cannot be read (${code ?? 'it is empty or too long'})`,
      fix: `name a file in notify.${name} that root can read`,
      final: false,
    };
  }
}
