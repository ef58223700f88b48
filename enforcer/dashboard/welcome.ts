/** What a start shows of the dashboard. */
export interface Welcome {
  readonly url: string;
  /** Only at the first start of a host's life. */
  readonly token: string | null;
  /** SHA-256 of the certificate, to compare with what the browser shows. */
  readonly fingerprint: string | null;
}
