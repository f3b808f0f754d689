import { redirected, unanswered } from './odoo-errors.ts';

/** What came back; `json` is undefined when the body was something else. */
export interface HttpAnswer {
  readonly status: number;
  readonly json: unknown;
  /** It is whole, but no JSON: it holds a number that is not finite, which Python writes all the same. */
  readonly isBroken: boolean;
}

interface Request {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/**
 * One HTTP exchange of JSON over fetch, which keeps its connections open between calls.
 * @param what names the call in errors.
 * @throws ManagerError `transport` when nothing usable came back, `missing` on a redirect.
 */
export async function exchange(
  what: string,
  url: URL,
  request: Request,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  try {
    const response = await fetch(url, {
      method: request.method,
      headers: { 'content-type': 'application/json', ...request.headers },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      redirect: 'manual',
      signal,
    });
    const text = await response.text();
    if (response.status >= 300 && response.status < 400) {
      throw redirected(what, response.headers.get('location') ?? 'nowhere');
    }
    const json = parseJson(text);
    const isBroken = json === undefined && parseJson(withoutNotFinite(text)) !== undefined;
    return { status: response.status, json, isBroken };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // fetch says only "fetch failed" or "terminated"; the network's own words are in the cause.
    const cause = error.cause instanceof Error ? error.cause : error;
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
    throw unanswered(what, `${url.origin} ${code || cause.message}`, error);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text and numbers that are not finite, as Python's json.dumps writes them. */
const TEXT_OR_NOT_FINITE = /("(?:\\.|[^"\\])*")|-?\b(?:NaN|Infinity)\b/g;

function withoutNotFinite(text: string): string {
  return text.replace(TEXT_OR_NOT_FINITE, (_found, quoted?: string) => quoted ?? 'null');
}
