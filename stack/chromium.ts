import { aptInstall, isRoot } from './apt.ts';
import { type Say, timed } from './progress.ts';
import { succeeds } from './run.ts';

/** Where Debian and most other distributions put it. */
const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * Sees to it that a Chromium is there for the browser tests: takes the machine's, else installs Debian's.
 * @returns absolute path of the program
 * @throws Error saying what to install where that can't be done
 */
export async function ensureChromium(say: Say): Promise<string> {
  const present = await findChromium();
  if (present !== undefined) return present;
  if (isRoot() && (await succeeds('apt-get', ['--version']))) {
    await timed(say, "Installing Chromium from Debian's packages", async () =>
      // Without a font of its own it draws boxes instead of letters.
      aptInstall(['chromium', 'fonts-dejavu-core']),
    );
  }
  const installed = await findChromium();
  if (installed === undefined) throw new Error('The browser tests want Chromium: install it.');
  return installed;
}

async function findChromium(): Promise<string | undefined> {
  for (const program of PROGRAMS) {
    if (await succeeds(program, ['--version'])) return program;
  }
  return undefined;
}
