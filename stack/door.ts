import { request } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { showsLogin } from '../src/engine/readiness-probe.ts';
import { images } from './images.ts';

/** The sidecar's settings of the door: those that the stack itself reads, and any other of microsaas.example.yaml. */
export interface DoorSettings {
  domain: string;
  manager?: string;
  https?: boolean;
  address?: string;
  httpPort?: number;
  httpsPort?: number;
  [key: string]: unknown;
}

const ANSWER_MS = 10_000;

/** Names below `localhost`, which browsers resolve to this machine without DNS; plain HTTP is safe there. */
export function localDoor(port: number): DoorSettings {
  const place = { domain: 'localhost', address: '127.0.0.1', https: false };
  return { ...place, httpPort: port, image: images.caddy };
}

/** The address of a name behind the door. */
export function addressBehind(door: DoorSettings, label: string): string {
  const { domain, https = true, httpPort = 80, httpsPort = 443 } = door;
  const [scheme, port, usual] = https ? ['https', httpsPort, 443] : ['http', httpPort, 80];
  return `${scheme}://${label}.${domain}${port === usual ? '' : `:${port}`}`;
}

/**
 * The status of a page behind the door of this machine; null when nobody answers. The door's own address is asked, whatever DNS says
 * by now, and its certificate is not looked at: this tells only whether it is open.
 */
export async function statusBehind(door: DoorSettings, url: string): Promise<number | null> {
  const { hostname, host, pathname, port, protocol } = new URL(url);
  const isSecure = protocol === 'https:';
  const { address = '0.0.0.0' } = door;
  return new Promise((resolve) => {
    const call = (isSecure ? requestSecurely : request)({
      host: address === '0.0.0.0' ? '127.0.0.1' : address,
      port: port || (isSecure ? 443 : 80),
      path: pathname,
      headers: { host },
      timeout: ANSWER_MS,
      agent: false,
      ...(isSecure ? { servername: hostname, rejectUnauthorized: false } : {}),
    });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(null));
    call.end();
  });
}

/** Whether an Odoo shows its login page at this address, be it below `localhost`, which Node does not resolve. */
export async function showsLoginAt(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  if (!hostname.endsWith('.localhost')) return showsLogin(url);
  return (await statusBehind(localDoor(Number(port)), `${url}/web/login`)) === 200;
}
