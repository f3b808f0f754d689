import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { countRows } from '../databases/count-rows.ts';
import { TerminalError } from '../errors.ts';
import { exec } from '../host/exec.ts';
import type { Cluster } from '../postgres/cluster.ts';
import type { SessionPurpose, TenantLogin } from '../postgres/tenant-session.ts';

/** How long the files of a backup may take to be read, in milliseconds. */
const READ_TIMEOUT_MS = 2 * 60 * 60_000;

/** A look into a restored database, which may be there to delay the sidecar; it may stand still for as long as it runs (`background.ts`). */
const LOOK: SessionPurpose = { access: 'read', statementMs: 90_000, totalMs: 180_000 };

/** How many names of files one session asks for: what a session may receive is limited. */
const PAGE = 5_000;

/** How many files are read by one command, whose output is limited. */
const AT_ONCE = 20_000;

/** How Odoo names a file: the first two digits of its content's SHA-1, and all forty (ir_attachment.py, `_get_path`). */
const STORED = /^[0-9a-f]{2}\/[0-9a-f]{40}$/;

/**
 * Compares a restored database with what the backup says of it.
 * @throws TerminalError('ProofRows') where rows are missing, ('ProofDatabase') where an update or an installation was under way
 */
export async function proveDatabase(
  cluster: Cluster,
  login: TenantLogin,
  rows: Readonly<Record<string, number>>,
): Promise<void> {
  const { found, unfinished } = await cluster.enter(login, LOOK, async (session) => ({
    found: await countRows(session),
    unfinished: await session.rows(
      z.object({ state: z.string() }),
      `SELECT state::text FROM public.ir_module_module WHERE state LIKE 'to %' LIMIT 1`,
    ),
  }));
  for (const [table, expected] of Object.entries(rows))
    if (found[table] !== expected)
      throw new TerminalError('ProofRows', `${table}: ${found[table]} of ${expected} rows`, {
        detail: [table, String(expected), String(found[table] ?? 0)],
      });
  if (unfinished.length > 0)
    throw new TerminalError('ProofDatabase', 'modules were being installed or updated', {
      detail: 'modules were being installed or updated',
    });
}

/**
 * Reads every file of a restored filestore: the name of each is the SHA-1 of its content. What the database names must be there;
 * what it does not name does not matter.
 * @returns how many files were read
 * @throws TerminalError('ProofFileMissing'), ('ProofFileDamaged') with how many there are and the first of them
 */
export async function proveFiles(
  cluster: Cluster,
  login: TenantLogin,
  filestore: string,
  signal: AbortSignal,
): Promise<number> {
  const present = await storedFiles(filestore);
  const missing: string[] = [];
  let count = 0;
  for await (const name of namedFiles(cluster, login)) {
    if (present.has(name)) continue;
    count += 1;
    if (missing.length === 0) missing.push(name);
  }
  if (count > 0)
    throw new TerminalError('ProofFileMissing', `${count} files are missing: ${missing[0]}`, {
      detail: [String(count), missing[0] ?? ''],
    });
  const damaged = await damagedFiles(filestore, [...present], signal);
  if (damaged.length > 0)
    throw new TerminalError('ProofFileDamaged', `${damaged.length} files: ${damaged[0]}`, {
      detail: [String(damaged.length), damaged[0] ?? ''],
    });
  return present.size;
}

/** The files that are called as Odoo calls them. Regular ones in folders: a link could lead anywhere. */
export async function storedFiles(filestore: string): Promise<Set<string>> {
  const found = new Set<string>();
  const isThere = await lstat(filestore).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isThere) return found;
  for (const folder of await readdir(filestore, { withFileTypes: true })) {
    if (!folder.isDirectory() || folder.name.length !== 2) continue;
    for (const file of await readdir(join(filestore, folder.name), { withFileTypes: true })) {
      const name = `${folder.name}/${file.name}`;
      if (file.isFile() && STORED.test(name)) found.add(name);
    }
  }
  return found;
}

/** The files that the database names, a page at a time. What is not named as Odoo does is kept elsewhere, or is no name. */
async function* namedFiles(cluster: Cluster, login: TenantLogin): AsyncGenerator<string> {
  let after = '';
  for (;;) {
    const page = await cluster.enter(login, LOOK, (session) =>
      session.rows(
        z.object({ name: z.string() }),
        `SELECT DISTINCT store_fname::text AS name FROM public.ir_attachment
          WHERE store_fname > $1 AND length(store_fname) = 43 ORDER BY 1 LIMIT ${PAGE}`,
        [after],
      ),
    );
    for (const { name } of page) if (STORED.test(name)) yield name;
    const last = page.at(-1)?.name;
    // A view in the table's place need not heed what it is asked.
    if (page.length < PAGE || last === undefined || last <= after) return;
    after = last;
  }
}

/** @returns the files whose content is not what their name says */
async function damagedFiles(
  filestore: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const damaged: string[] = [];
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const input = names.slice(from, from + AT_ONCE).join('\0');
    const command = ['nice', '-n', '19', 'xargs', '--null', 'sha1sum', '--'] as const;
    const options = { cwd: filestore, input, timeoutMs: READ_TIMEOUT_MS, signal };
    for (const line of (await exec(command, options)).split('\n')) {
      const [hash, name = ''] = line.split('  ');
      if (hash !== name.slice(3)) damaged.push(name);
    }
  }
  return damaged;
}
