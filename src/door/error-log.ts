import { z } from 'zod';

/** An error that Caddy has logged. */
export interface LoggedError {
  /** The name whose certificate could not be had; '' for a configuration that could not be loaded, as where a port is taken. */
  readonly name: string;
  readonly message: string;
  /** In milliseconds since the epoch; 0 where Caddy has not said it: it ended while it started. */
  readonly at: number;
}

/** A line of Caddy's log, of which only this is read (https://caddyserver.com/docs/logging). `ts` is in seconds. */
const line = z.object({
  level: z.literal('error'),
  ts: z.number(),
  logger: z.string(),
  error: z.string(),
  identifier: z.string().default(''),
});

/**
 * The errors in a log of Caddy's about its configuration and its certificates, the oldest first. What is about single requests is left
 * out.
 */
export function errorsIn(log: string): LoggedError[] {
  return log.split('\n').flatMap((text) => {
    const [, end] = /^Error: (.+)$/.exec(text) ?? [];
    if (end !== undefined) return [{ name: '', message: end, at: 0 }];
    const found = line.safeParse(parsed(text)).data;
    if (found === undefined) return [];
    const { error, identifier, logger, ts } = found;
    // "will retry" of `tls` says the same once more, without the name.
    if (!logger.startsWith('admin') && identifier === '') return [];
    return [{ name: identifier, message: error, at: ts * 1000 }];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
