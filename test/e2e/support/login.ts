import type { TestEnvironment } from './environment.ts';
import type { Row } from './instances.ts';

/** HTTP status of a page, redirects not followed; 0 without an answer. */
export async function status(url: string): Promise<number> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(60_000) });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

/** Logs in to a customer's Odoo as its own login page does. @returns the user's id, 0 when refused */
export async function logIn(
  { stack }: TestEnvironment,
  row: Row,
  login: string,
  password: string,
): Promise<number> {
  const response = await fetch(`${row.instance_url}/web/session/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      method: 'call',
      params: { db: `ms_${stack.install}_${row.id}`, login, password },
      id: 1,
    }),
    signal: AbortSignal.timeout(60_000),
  });
  const answer = (await response.json()) as { result?: { uid?: number | false } };
  return answer.result?.uid || 0;
}
