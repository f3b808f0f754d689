import { z } from 'zod';
import type { LoggedRequest } from '../interfaces.ts';

/** One line of Caddy's access log, of which much else is left aside: https://caddyserver.com/docs/json/logging/ */
const entry = z.object({
  ts: z.number(),
  status: z.int(),
  request: z.object({ host: z.string(), uri: z.string() }),
});

/** What a line of the access log says; null: it is something else. */
export function loggedRequest(line: string): LoggedRequest | null {
  try {
    const { request, status, ts } = entry.parse(JSON.parse(line));
    const path = request.uri.split('?')[0] ?? '';
    return { host: request.host, path, status, at: Math.round(ts * 1000) };
  } catch {
    return null;
  }
}
