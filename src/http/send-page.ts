import type { ServerResponse } from 'node:http';
import type { StatePage } from '../interfaces.ts';
import { renderStatePage } from './state-page.ts';

/** Sends a page that nothing may keep. @param method of the request that it answers */
export function sendPage(page: StatePage, method: string, res: ServerResponse): void {
  // A page that was the answer to a form must not be loaded again by itself: the browser would ask to send the form twice.
  const isReloadable = method === 'GET' || method === 'HEAD';
  const html = renderStatePage(isReloadable ? page : { ...page, retryAfter: 0 });
  const images = page.logoUrl ? ` ${new URL(page.logoUrl).origin}` : '';
  res
    .writeHead(page.status, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Language': page.lang.replace('_', '-'),
      'Content-Length': Buffer.byteLength(html),
      'Cache-Control': 'no-store',
      'X-Robots-Tag': 'noindex',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; img-src${images || " 'none'"}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      ...(page.retryAfter > 0 ? { 'Retry-After': String(page.retryAfter) } : {}),
    })
    .end(html);
}
