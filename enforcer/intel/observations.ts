/** What a source did in a trap, beyond having connected to it: told by the traps' protocols, judged by detect. Texts hold one character (U+0000 to U+00FF) for each byte. */
export type Observation =
  | { readonly kind: 'too-much'; readonly receivedBytes: number }
  | { readonly kind: 'deadline' }
  /** `scheme` is absent where the secret came as clear text; else it says how the secret was hidden, such as `md5-challenge`. */
  | { readonly kind: 'credentials'; readonly user: string; readonly secret: string; readonly scheme?: string }
  | { readonly kind: 'command'; readonly line: string }
  | { readonly kind: 'request'; readonly method: string; readonly target: string; readonly headers: readonly (readonly [name: string, value: string])[] }
  /** Something carried: a body, a script, a file. `content` is its beginning. */
  | { readonly kind: 'payload'; readonly name: string; readonly content: string; readonly bytes: number }
  /** What marks the client's software, such as JA4 or a user agent. */
  | { readonly kind: 'fingerprint'; readonly name: string; readonly value: string }
  | { readonly kind: 'malformed'; readonly why: string };
