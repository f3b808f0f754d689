/** How much of a line people read, in characters. */
const MAX_LINE = 200;

/** The last line that a program wrote, which names its error. */
export function lastLine(stderr: string): string {
  return (stderr.trim().split('\n').at(-1) ?? '').slice(0, MAX_LINE);
}

/** What psql says first of what went wrong: after it come the statement and a mark below it. */
export function errorLine(stderr: string): string {
  const line = stderr.split('\n').find((one) => /ERROR|FATAL|error:/.test(one));
  return line?.trim() ?? lastLine(stderr);
}
