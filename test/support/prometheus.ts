import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { aptDownload } from '../../stack/apt.ts';
import { freePort } from '../../stack/free-port.ts';
import { varPath } from '../../stack/paths.ts';
import { run, succeeds } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';

/** Debian releases whose `prometheus` is one binary that needs nothing but libc; the oldest, for the sake of older machines. */
const SUITE = 'bookworm';

/**
 * Debian's Prometheus, unpacked below `var/`: nothing is installed on this machine, and no service is started.
 * @returns the folder of its programs
 * @throws Error where it cannot be had
 */
export async function prometheusPrograms(): Promise<string> {
  const bin = varPath('prometheus');
  if (await succeeds(join(bin, 'promtool'), ['--version'])) return bin;
  await mkdir(varPath(), { recursive: true });
  const folder = await mkdtemp(varPath('prometheus-deb-'));
  try {
    await aptDownload('prometheus', SUITE, folder);
    const [archive = ''] = await readdir(folder);
    await run('dpkg-deb', ['--extract', join(folder, archive), join(folder, 'tree')]);
    await mkdir(bin, { recursive: true });
    // Promtool last: where that is, all is.
    for (const program of ['prometheus', 'promtool'])
      await copyFile(join(folder, 'tree', 'usr', 'bin', program), join(bin, program));
    await run(join(bin, 'promtool'), ['--version']);
    return bin;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A real Prometheus on loopback. */
export interface RunningPrometheus {
  /** Asks its HTTP API. @param path below `/api/v1/` @returns the `data` of the answer @throws Error with Prometheus' own words */
  readonly ask: (path: string) => Promise<unknown>;
  readonly stop: () => Promise<void>;
}

/** @param bin of prometheusPrograms(). @param config its file. @param data a folder for what it stores */
export async function startPrometheus(
  bin: string,
  config: string,
  data: string,
): Promise<RunningPrometheus> {
  const port = await freePort(9_090);
  const listen = `--web.listen-address=127.0.0.1:${port}`;
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${data}`, listen];
  const server: ChildProcess = spawn(join(bin, 'prometheus'), args, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data?: unknown };
    if (answer.status !== 'success') throw new Error(answer.error ?? answer.status);
    return answer.data;
  };
  await eventually(async () => {
    if (server.exitCode !== null) throw new Error(`prometheus ended with ${server.exitCode}`);
    await ask('status/buildinfo');
  });
  return {
    ask,
    stop: async () => {
      server.kill();
      await ended;
    },
  };
}
