import type { DockerCli } from '../docker/docker-cli.ts';
import type { Command } from '../host/exec.ts';
import type { OdooSession } from '../interfaces.ts';

/** How long the session's file may take to be written, and Odoo to say whether it accepts it, in milliseconds: a person waits. */
const SAVE_TIMEOUT_MS = 10_000;
const CHECK_TIMEOUT_MS = 10_000;

/** What Odoo shows to internal users alone, and which costs it little: everybody else is sent to the login page. */
const FOR_USERS = '/web/webclient/load_menus';

/** An Odoo, and who is to be let in. */
export interface Admission {
  /** Puts the session from its standard input into that Odoo's store: see docker/odoo-session.ts. */
  readonly save: Command;
  /** `http://host:port` */
  readonly origin: string;
  readonly session: OdooSession;
  /** See Engine.admit(). */
  readonly browser: Readonly<Record<string, string>>;
}

/**
 * Puts a session into an Odoo's store and asks that Odoo whether it accepts it, in the browser's place: that is what it writes down of the
 * new login.
 */
export async function admit(
  docker: DockerCli,
  { browser, origin, save, session }: Admission,
): Promise<boolean> {
  await docker(save, {
    input: JSON.stringify(session),
    timeoutMs: SAVE_TIMEOUT_MS,
  });
  const answer = await fetch(new URL(FOR_USERS, origin), {
    redirect: 'manual',
    signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
    headers: { ...browser, cookie: `session_id=${session.sid}` },
  });
  await answer.body?.cancel();
  return answer.status === 200;
}
