import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from '../errors.ts';
import { type Command, type ExecOptions, exec, execHeld, type HeldProgram } from '../host/exec.ts';

/** Runs one command of Docker's own program against the configured daemon. @returns its stdout. @throws CommandError */
export type DockerCli = (command: Command, options?: Omit<ExecOptions, 'env'>) => Promise<string>;

/** @param socket the path of the daemon's socket */
export function dockerCli(socket: string): DockerCli {
  const env = dockerEnvironment(socket);
  const compose = composeProgram();
  return async (command, options = {}) =>
    exec(composeByItself(command, await compose), { ...options, env });
}

/** Starts one command of Docker's own program that waits for the end of its input: see execHeld(). */
export type HeldDockerCli = (
  command: Command,
  options: { readonly input: string; readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<HeldProgram>;

/** @param socket the path of the daemon's socket */
export function heldDockerCli(socket: string): HeldDockerCli {
  const env = dockerEnvironment(socket);
  return (command, options) => execHeld(command, { ...options, env });
}

/** For `catch`: it does not matter that the command failed. */
export function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}

/** The environment of Docker's program: in HOME it finds its plugins and the operator's registry login. */
export function dockerEnvironment(socket: string): Readonly<Record<string, string>> {
  return { HOME: homedir(), DOCKER_HOST: `unix://${socket}` };
}

/**
 * Turns a Compose command into one of Compose's own program: through Docker's it takes 0.05 s longer, which starts the plugin twice,
 * once to ask what it is.
 * @param program null: it was not found, so Docker has to find it
 */
export function composeByItself(command: Command, program: string | null): Command {
  const [docker, subcommand, ...rest] = command;
  return docker === 'docker' && subcommand === 'compose' && program !== null
    ? [program, ...rest]
    : command;
}

/** Where Docker's program looks for its plugins, in its order (docs.docker.com, "Install the Compose plugin"). */
const PLUGIN_FOLDERS = [
  join(homedir(), '.docker/cli-plugins'),
  '/usr/local/lib/docker/cli-plugins',
  '/usr/local/libexec/docker/cli-plugins',
  '/usr/lib/docker/cli-plugins',
  '/usr/libexec/docker/cli-plugins',
];

async function composeProgram(): Promise<string | null> {
  for (const folder of PLUGIN_FOLDERS) {
    const program = join(folder, 'docker-compose');
    const isThere = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return program;
  }
  return null;
}
