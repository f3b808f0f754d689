import { setTimeout as sleep } from 'node:timers/promises';

/** The default poll interval. */
const POLL_MS = 25;
const TIMEOUT_MS = 20 * 60_000;

/**
 * Waits until an Odoo is usable: its login page answers 200, and its administrator is let in.
 * @param who called for the login once there is a login page
 * @throws Error when the login is refused, or without an answer within twenty minutes
 */
export async function usable(
  url: string,
  database: string,
  who: () => Promise<{ readonly login: string; readonly password: string }>,
  pollMs = POLL_MS,
): Promise<void> {
  await answering(url, pollMs);
  const credential = await who();
  const response = await answered(`${url}/web/session/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', params: { db: database, ...credential } }),
  });
  const { result } = (await response.json()) as { result?: { uid?: number } };
  if (!result?.uid) throw new Error(`${url} refuses the login ${credential.login}`);
}

/** Waits until the login page answers 200. @throws Error when it does not within twenty minutes */
export async function answering(url: string, pollMs = POLL_MS): Promise<void> {
  const end = performance.now() + TIMEOUT_MS;
  while (performance.now() < end) {
    const isThere = await fetch(`${url}/web/login`, { redirect: 'manual' }).then(
      async (response) => {
        await response.body?.cancel();
        return response.status === 200;
      },
      () => false,
    );
    if (isThere) return;
    await sleep(pollMs);
  }
  throw new Error(`${url}/web/login does not answer`);
}

/** Retries: an Odoo on a very busy machine drops connections. @throws Error when none succeeds within twenty minutes */
async function answered(url: string, request: RequestInit): Promise<Response> {
  const end = performance.now() + TIMEOUT_MS;
  for (;;) {
    try {
      return await fetch(url, request);
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(POLL_MS);
    }
  }
}
