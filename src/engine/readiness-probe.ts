/** How long an Odoo may take for one answer, in milliseconds. */
const REQUEST_TIMEOUT_MS = 5_000;

/** How an Odoo is addressed at a port of the host. @param address as configured, IPv4 or IPv6 */
export function originAt(address: string, port: number): string {
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * Whether an Odoo shows its login page. One with a website of several languages redirects to that of the visitor's first,
 * `/en/web/login`; no other redirection is followed. @param origin `http://host:port`
 */
export async function showsLogin(origin: string): Promise<boolean> {
  const answer = await answerOf(`${origin}/web/login`);
  if (answer === null || answer.status === 200) return answer !== null;
  const localized = localizedLogin(answer.location, origin);
  return localized !== null && (await statusOf(localized)) === 200;
}

/** Where an Odoo redirects to, if that is its own login page in a language; else null: what it says is its tenant's. */
function localizedLogin(location: string | null, origin: string): string | null {
  if (location === null || !URL.canParse(location, origin)) return null;
  const url = new URL(location, origin);
  return url.origin === origin && /^\/[\w@-]+\/web\/login$/.test(url.pathname) ? url.href : null;
}

/**
 * Whether an Odoo has come up, asked by its cheapest page. The first request for the login page has Odoo compile it, on
 * one core: two at once delay each other. A visitor who is already waiting has a small lead this way (docs/benchmarks.md).
 * @param origin `http://host:port`
 */
export async function isServing(origin: string): Promise<boolean> {
  return (await statusOf(`${origin}/web/health`)) !== null;
}

/** Whether an Odoo that has come up answers still, and not with an error of its own. @param origin `http://host:port` */
export async function isHealthy(origin: string): Promise<boolean> {
  const status = await statusOf(`${origin}/web/health`);
  return status !== null && status < 500;
}

/** The status of an answer, redirections not followed; null: there was none. */
export async function statusOf(url: string): Promise<number | null> {
  return (await answerOf(url))?.status ?? null;
}

async function answerOf(url: string): Promise<{ status: number; location: string | null } | null> {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const response = await fetch(url, { redirect: 'manual', signal });
    await response.body?.cancel();
    return { status: response.status, location: response.headers.get('location') };
  } catch {
    return null;
  }
}
