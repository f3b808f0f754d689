import { execa } from 'execa';

export interface RunOptions {
  cwd?: string;
  /** Added to the environment, not instead of it. */
  env?: Record<string, string>;
  /** Written to the process; secrets go this way, never as an argument. */
  input?: string;
  /** Its standard input, instead of `input`. */
  inputFile?: string;
  /** Gets its standard output, which is not returned then. */
  outputFile?: string;
  /** Milliseconds; the process is ended after it. */
  timeout?: number;
  /** Standard error belongs to the answer, too. */
  both?: boolean;
}

/** A process that failed: its program and its output, without its arguments' values. */
export class RunError extends Error {
  readonly exitCode: number | undefined;
  readonly output: string;

  constructor(what: string, exitCode: number | undefined, output: string) {
    const lines = output.trim().split('\n');
    // Some programs say first what is wrong, others last.
    const words = lines.length > 16 ? [...lines.slice(0, 4), '…', ...lines.slice(-12)] : lines;
    super(`${what} failed (${exitCode ?? 'could not run'}):\n${words.join('\n')}`);
    this.name = 'RunError';
    this.exitCode = exitCode;
    this.output = output;
  }
}

/**
 * Runs a program to its end.
 * @returns its standard output, trimmed; with `both`, standard error in between as it came
 * @throws RunError when it can't be started, ends with another code than 0 or takes too long
 */
export async function run(file: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { inputFile, outputFile } = options;
  const usual = options.input === undefined ? 'ignore' : 'pipe';
  const result = await execa(file, args, {
    reject: false,
    stdin: inputFile === undefined ? usual : { file: inputFile },
    ...(outputFile === undefined
      ? { all: true }
      : { stdout: { file: outputFile }, buffer: { stdout: false } }),
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  });
  if (result.failed) {
    const output = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim();
    throw new RunError(
      `${file} ${args[0] ?? ''}`.trim(),
      result.exitCode,
      output || (result.shortMessage ?? 'no output'),
    );
  }
  return ((options.both ? result.all : result.stdout) ?? '').trim();
}

/**
 * Whether a program runs and ends with 0.
 * @param timeout milliseconds
 */
export async function succeeds(file: string, args: string[], timeout = 20_000): Promise<boolean> {
  const result = await execa(file, args, { reject: false, stdin: 'ignore', timeout });
  return !result.failed;
}
