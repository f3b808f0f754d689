import { type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

const REDACTED = '[redacted]';
const secrets = new Set<string>();

/** Registers a secret that was read or generated: redact() removes it from every log line and error that leaves the process. */
export function registerSecret(secret: string): string {
  // Literally, and as it appears inside a line of JSON.
  if (secret.length >= 8) secrets.add(secret).add(JSON.stringify(secret).slice(1, -1));
  return secret;
}

/** Replaces every registered secret in a text by `[redacted]`. */
export function redact(text: string): string {
  let clean = text;
  // The longest first: one secret may be a prefix of another.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, REDACTED);
  return clean;
}

/** Untrusted text for a log: control and format characters replaced, except line feeds. */
export function forLog(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, '\uFFFD');
}

/** JSON lines; on a terminal, with `format: auto`, readable lines. */
export function makeLogger(options: {
  readonly level: string;
  readonly format: 'auto' | 'json' | 'pretty';
}): Logger {
  const isPretty =
    options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const out = isPretty ? pretty({ colorize: process.stdout.isTTY, sync: true }) : process.stdout;
  return pino(
    { level: options.level, base: null, timestamp: stdTimeFunctions.isoTime },
    { write: (line: string) => void out.write(redact(line)) },
  );
}
