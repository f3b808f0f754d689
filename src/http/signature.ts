import type { IncomingHttpHeaders } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { ConfigError } from '../errors.ts';

const SHORTEST_SECRET_BYTES = 24;
const MAX_ID_LENGTH = 256;
const MAX_SIGNATURES_LENGTH = 4096;

/** Gives the webhook's id when the body is truly from who holds the secret and not older than five minutes, else null. */
export type Verify = (rawBody: Buffer, headers: IncomingHttpHeaders) => string | null;

/**
 * Standard Webhooks verification (HMAC-SHA256 over id, timestamp and raw body; comparison in constant time).
 * The library accepts a secret of one byte, headers of any length and a timestamp with a tail; this does not.
 * A replay is as genuine as the first one: a caller for whom that matters has to remember the ids.
 * @param secret `whsec_` and base64. @throws ConfigError when it has under 24 bytes.
 */
export function makeVerify(secret: string): Verify {
  const webhook = new Webhook(checkedSecret(secret));
  return (rawBody, headers) => {
    const id = headers['webhook-id'];
    const timestamp = headers['webhook-timestamp'];
    const signatures = headers['webhook-signature'];
    if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH) return null;
    if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return null;
    if (typeof signatures !== 'string' || signatures.length > MAX_SIGNATURES_LENGTH) return null;
    try {
      webhook.verify(
        rawBody,
        {
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': signatures,
        },
        { jsonParse: false },
      );
      return id;
    } catch (error) {
      if (error instanceof WebhookVerificationError) return null;
      throw error;
    }
  };
}

function checkedSecret(secret: string): string {
  const base64 = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret;
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0;
  const bytes = isBase64 ? Buffer.from(base64, 'base64').length : 0;
  if (bytes >= SHORTEST_SECRET_BYTES) return secret;
  const found = isBase64 ? `${bytes} bytes` : secret === '' ? 'nothing' : 'text that is not base64';
  throw new ConfigError(
    `webhook secret: expected whsec_ and the base64 of at least ${SHORTEST_SECRET_BYTES} bytes, found ${found}`,
  );
}
