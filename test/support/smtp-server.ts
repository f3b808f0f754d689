import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { aptInstall } from '../../stack/apt.ts';
import { freePort } from '../../stack/free-port.ts';
import { succeeds } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';

/** Debian's `python3-aiosmtpd`. */
const PROGRAM = '/usr/bin/aiosmtpd';

/** A real SMTP server on loopback that takes every mail and keeps it. */
export interface SmtpServer {
  readonly port: number;
  /** The mails that have arrived, as they came, below `X-MailFrom` and `X-RcptTo` of their envelopes. */
  readonly mails: () => Promise<string[]>;
  readonly stop: () => Promise<void>;
}

/** Starts it; installs it where it is missing. @param folder for its mails, which is emptied */
export async function startSmtpServer(folder: string): Promise<SmtpServer> {
  if (!(await succeeds(PROGRAM, ['--version']))) await aptInstall(['python3-aiosmtpd']);
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  const port = await freePort(8025);
  const handler = ['--class', 'aiosmtpd.handlers.Mailbox', folder];
  const listen = ['--nosetuid', '--listen', `127.0.0.1:${port}`];
  const server = spawn(PROGRAM, [...listen, ...handler], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  await eventually(() => greets(port, server));
  return {
    port,
    mails: async () => {
      const arrived = join(folder, 'new');
      const names = (await readdir(arrived)).sort();
      return Promise.all(names.map((name) => readFile(join(arrived, name), 'utf8')));
    },
    stop: async () => {
      server.kill();
      await ended;
    },
  };
}

function greets(port: number, server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) throw new Error(`${PROGRAM} ended with ${server.exitCode}`);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('data', (greeting) => {
      socket.destroy();
      if (String(greeting).startsWith('220 ')) resolve();
      else reject(new Error(String(greeting)));
    });
  });
}
