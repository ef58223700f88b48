/** What is too long for a message lies behind a link that the hub signed. Bounded, and never a reason to fail: it is asked for again. */

const FETCH_MS = 30_000;

/** Exactly `bytes` of it, or null. */
export async function fetchObject(url: string, bytes: number): Promise<Uint8Array | null> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_MS) });
    if (!response.ok || response.body === null) return null;
    const whole = new Uint8Array(bytes);
    let at = 0;
    for await (const part of response.body) {
      if (at + part.length > bytes) return null;
      whole.set(part, at);
      at += part.length;
    }
    return at === bytes ? whole : null;
  } catch {
    return null;
  }
}
