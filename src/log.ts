import { type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

const REDACTED = '[redacted]';
const secrets = new Set<string>();

/** Every secret read or made is registered here, and no log line or error that leaves the process holds it. */
export function registerSecret(secret: string): string {
  // As it is, and as it stands inside a line of JSON.
  if (secret.length >= 8) secrets.add(secret).add(JSON.stringify(secret).slice(1, -1));
  return secret;
}

/** Replaces every registered secret in a text. */
export function redact(text: string): string {
  let clean = text;
  // The longest first: one secret may begin another.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, REDACTED);
  return clean;
}

/** A stranger's text without what a terminal or a log would obey: control and format characters, but for the ends of lines. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, '\uFFFD');
}

/** JSON lines for machines; readable lines when a person watches on a terminal. */
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
