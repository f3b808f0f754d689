import { homedir } from 'node:os';
import type { Command } from './commands.ts';
import { type ExecOptions, exec } from './exec.ts';

/** Runs one command of Docker's own program against the configured daemon. @returns its stdout. @throws CommandError */
export type DockerCli = (command: Command, options?: Omit<ExecOptions, 'env'>) => Promise<string>;

/** @param socket the path of the daemon's socket */
export function dockerCli(socket: string): DockerCli {
  const env = dockerEnvironment(socket);
  return (command, options = {}) => exec(command, { ...options, env });
}

/** What Docker's program needs to know: HOME is where it finds its plugins and the operator's registry login. */
export function dockerEnvironment(socket: string): Readonly<Record<string, string>> {
  return { HOME: homedir(), DOCKER_HOST: `unix://${socket}` };
}
