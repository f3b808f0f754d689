import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the Odoo modules of a checkout are. */
export interface CheckoutLayout {
  /** Whether the repository itself is one module. */
  readonly isModule: boolean;
  /** The folders that hold modules, from the checkout's root, `''` being the root itself; empty when it is a module. */
  readonly folders: readonly string[];
}

/** A checkout as an instance mounts it. */
export interface Checkout {
  /** Absolute, on the host. */
  readonly path: string;
  /** The folders with modules in it, `''` being itself. */
  readonly folders: readonly string[];
  /** The name of the module that the repository itself is; '' when it holds modules. */
  readonly moduleName: string;
}

/** How deep modules are looked for: `addons/`, `odoo/addons/`, `src/16.0/addons/`. */
const MAX_DEPTH = 4;

/** A folder's name goes into the comma-separated `addons_path`; anything but these could end one path and begin another. */
const FOLDER = /^[A-Za-z0-9_][\w.-]*$/;

/** Finds a checkout's modules: the inside of a module is not searched. A tree never changes, nor does the answer. */
export async function layoutOf(root: string): Promise<CheckoutLayout> {
  if (await isModule(root)) return { isModule: true, folders: [] };
  return { isModule: false, folders: await foldersBelow(root, '', 1) };
}

async function foldersBelow(root: string, folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const names = entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && FOLDER.test(entry.name))
    .map((entry) => ({ path: join(folder, entry.name), isLink: entry.isSymbolicLink() }));
  const found = await Promise.all(
    names.map(async (it) => ({ ...it, isModule: await isModule(join(root, it.path)) })),
  );
  const own = found.some((it) => it.isModule) ? [folder] : [];
  // A link to a folder shows modules that are found where they really are.
  const further = found.filter((it) => !it.isModule && !it.isLink && depth < MAX_DEPTH);
  const deeper = await Promise.all(
    further
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map((it) => foldersBelow(root, it.path, depth + 1)),
  );
  return [...own, ...deeper.flat()];
}

async function isModule(folder: string): Promise<boolean> {
  return stat(join(folder, '__manifest__.py')).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** The name of the module that a repository itself is: its address's last part, or null where that is no module's name. */
export function moduleNameIn(url: string): string | null {
  const [, name = ''] = /([^/]+?)(?:\.git)?\/*$/.exec(url) ?? [];
  return /^[a-z][a-z0-9_]*$/.test(name) ? name : null;
}

/** Where a container sees the checkouts of an instance, and the folders Odoo looks for modules in. One that is a module needs its name. */
export function mountsOf(checkouts: readonly Checkout[]) {
  return checkouts.map(({ folders, moduleName, path }, index) => {
    const place = `/mnt/extra-addons/${index + 1}`;
    return moduleName
      ? { path, target: `${place}/${moduleName}`, addonsFolders: [place] }
      : { path, target: place, addonsFolders: folders.map((folder) => join(place, folder)) };
  });
}
