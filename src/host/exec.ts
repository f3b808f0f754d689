import { execa } from 'execa';
import { CommandError } from '../errors.ts';
import { redact } from '../log.ts';

/** How much of a process's stderr an error keeps, in characters. */
const STDERR_TAIL = 4_000;

/** How much a process may write, in characters. Odoo, installing seventy modules, writes a hundred thousand. */
const MAX_OUTPUT = 16 * 1024 * 1024;

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

export interface ExecOptions {
  /** The whole environment: nothing of the sidecar's own is inherited, since compose would interpolate it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly input?: string;
  /** Gives stderr back with stdout, in the order it was written. */
  readonly mixed?: boolean;
}

/**
 * Like exec(), but the program writes to our own stdout, until it ends or is interrupted: its stderr
 * too, because that is where Odoo logs, and a log must work in a pipe.
 * @param filter makes what each chunk of either passes through
 */
export async function execInTerminal(
  command: Command,
  env: Readonly<Record<string, string>>,
  filter: () => (chunk: Uint8Array) => Uint8Array,
): Promise<void> {
  const [program, ...args] = command;
  const options = { env: { PATH, ...env }, extendEnv: false, reject: false } as const;
  const filtered = () => {
    const pass = filter();
    const transform = function* (chunk: unknown) {
      yield pass(chunk as Uint8Array);
    };
    return [{ transform, binary: true }, process.stdout] as const;
  };
  const result = await execa(program, args, {
    ...options,
    stdin: 'inherit',
    stdout: filtered(),
    stderr: filtered(),
    buffer: false,
  });
  if (result.failed && !result.isTerminated)
    throw new CommandError(command, result.exitCode ?? null, '');
}

/** A program that does nothing more until its input ends. */
export interface HeldProgram {
  /** What it has written first. */
  readonly line: string;
  /** Ends its input with this, and waits for its end. @throws CommandError where it has failed, or had ended before */
  readonly end: (input?: string) => Promise<void>;
}

/**
 * Starts a program, gives it some input and waits for the first line that it writes. It goes on until it is told to end.
 * @throws CommandError where it ends before that
 */
export async function execHeld(
  command: Command,
  options: Required<Pick<ExecOptions, 'env' | 'input' | 'signal' | 'timeoutMs'>>,
): Promise<HeldProgram> {
  const [program, ...args] = command;
  const running = execa(program, args, {
    env: { PATH, ...options.env },
    extendEnv: false,
    stdin: 'pipe',
    cancelSignal: options.signal,
    timeout: options.timeoutMs,
    forceKillAfterDelay: 5_000,
    maxBuffer: MAX_OUTPUT,
    reject: false,
  });
  const ended = running.then(({ exitCode, failed, shortMessage, stderr }) => {
    if (!failed) return;
    const text = redact((stderr || shortMessage || '').slice(-STDERR_TAIL));
    throw new CommandError(command, exitCode ?? null, text);
  });
  // Told to whoever waits for it below; by then it may have failed for a while.
  ended.catch(() => {});
  // One that has ended already takes no input; how it ended says why.
  running.stdin.on('error', () => {});
  running.stdin.write(options.input);
  const firstLine = new Promise<string>((resolve) => {
    let text = '';
    running.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [line = '', ...more] = text.split('\n');
      if (more.length > 0) resolve(line);
    });
  });
  const line = await Promise.race([firstLine, ended.then(() => null)]);
  if (line === null) throw new CommandError(command, 0, 'it ended and has written nothing');
  return {
    line,
    end: async (input = '') => {
      const hadEnded = running.exitCode !== null;
      running.stdin.end(input);
      await ended;
      if (hadEnded) throw new CommandError(command, 0, 'it had ended before');
    },
  };
}

/** Where programs are looked up; each caller gives the rest of the environment. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs one program with an argument list, never through a shell: the only place that starts a process.
 * @returns its stdout. @throws CommandError on any exit code but 0, on a timeout and on an abort.
 */
export async function exec(command: Command, options: ExecOptions = {}): Promise<string> {
  const [program, ...args] = command;
  const result = await execa(program, args, {
    env: { PATH, ...options.env },
    extendEnv: false,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    timeout: options.timeoutMs ?? 120_000,
    forceKillAfterDelay: 5_000,
    // A process that writes more is killed.
    maxBuffer: MAX_OUTPUT,
    all: options.mixed ?? false,
    reject: false,
  });
  if (result.failed) {
    const prefix = result.timedOut ? `timed out after ${options.timeoutMs ?? 120_000} ms; ` : '';
    const text = `${prefix}${result.stderr || result.shortMessage || ''}`;
    throw new CommandError(command, result.exitCode ?? null, redact(text.slice(-STDERR_TAIL)));
  }
  return options.mixed ? (result.all ?? '') : result.stdout;
}
