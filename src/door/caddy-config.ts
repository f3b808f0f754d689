import { isIPv6 } from 'node:net';
import type { DoorRoute } from '../interfaces.ts';
import { certificateNames, type HostMapping, hostMappings, portOf } from './host-names.ts';

/** The directory that the door's container and the sidecar share, as the container sees it. */
export const RUN_DIRECTORY = '/run/door';

/** Where things are inside the door's container. */
export const INSIDE = {
  admin: '/run/door/admin.sock',
  pages: '/run/door/pages.sock',
  accessLog: '/run/door/access.log',
} as const;

/** What the operator has configured, in the container's terms. */
export interface CaddySettings {
  /** The domain below which the instances have their names. */
  readonly domain: string;
  /** The manager's label below it; '' where it is not behind the door. */
  readonly manager: string;
  readonly managerPort: number;
  readonly https: boolean;
  readonly address: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** The files of a certificate for all names below the domain, as the container sees them; null: each name has its own. */
  readonly wildcard: { readonly certificate: string; readonly key: string } | null;
  readonly acme: {
    readonly directory: string;
    readonly email: string;
    /** The file of a private authority's root certificate, as the container sees it; '' for a public one. */
    readonly root: string;
  };
  /** The host's address on which the instances publish their ports. */
  readonly publishAddress: string;
}

/**
 * The largest request body in bytes. Odoo takes files of 128 MiB unless told otherwise (`web.max_file_upload_size`); in base64, as
 * its own web client sends them, a third more.
 */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** How long an open websocket outlives a reload. */
const STREAMS_STAY = '24h';

/** How long a request under way outlives a reload, such as a large report. */
const REQUESTS_STAY = '10m';

/** How long the door tries to reach an instance that has just begun to answer. */
const RETRY = '5s';

/**
 * How much of a body is read before an instance that has just woken gets the request: it has few workers, and who sends a byte a second
 * would hold one. In bytes; of larger bodies the rest follows as it comes.
 */
const BUFFERED_BYTES = 256 * 1024;

/** What nobody manages databases by, whatever Odoo's own settings: its paths of 17, 18 and 19. */
const DATABASE_PATHS = [
  ...['/web/database*', '/xmlrpc/db*', '/xmlrpc/2/db*'],
  // Odoo's websites cut off a language in front, even one that they do not have.
  ...['/*/web/database', '/*/web/database/*', '/*/xmlrpc/db', '/*/xmlrpc/2/db'],
];

/** Programs that call a renamed instance do not follow redirects. */
const API_PATHS = ['/xmlrpc*', '/json/*', '/jsonrpc*'];

const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The proof of a domain: of what the sidecar answers on every name, this alone over plain HTTP beside HTTPS too. */
const TOKEN_PATH = '/.well-known/microsaas-domain';

/** Customers' data, by one-time links with the token in the query. */
const DOWNLOAD_PATH = '/.well-known/microsaas-download';

/** Where people are logged in to their own Odoo, by one-time links too. */
const LOGIN_PATH = '/.well-known/microsaas-login';

/** What the sidecar answers on every name. */
const SIDECAR_PATHS = [TOKEN_PATH, DOWNLOAD_PATH, LOGIN_PATH];

/** The placeholders that the map fills: the two upstreams of a host, and where it redirects to. '' where there is none. */
const HTTP = '{door.http}';
const LONGPOLLING = '{door.longpolling}';
const REDIRECT = '{door.redirect}';
/** 'yes' for every host that is somebody's and has a certificate, or is to have one as a name below the domain. */
const CERTIFIED = '{door.certified}';
/** 'yes' for a host that no search engine is to list. */
const HIDDEN = '{door.hidden}';

/** The only sentences for people that are neither in the addon nor in the sidecar: nobody else is there to say anything. */
const SORRY: Json = sentence(
  503,
  'Not available at the moment; please try again. / No disponible en este momento; vuelva a intentarlo.',
  { 'Retry-After': ['5'] },
);
const TOO_LARGE: Json = sentence(
  413,
  `More than ${MAX_BODY_BYTES / 1024 ** 2} MiB at once are not accepted. / No se aceptan más de ${MAX_BODY_BYTES / 1024 ** 2} MiB de una vez.`,
);

/** A request target that is no path, as in `GET x:web/database HTTP/1.1`: no rule about paths would meet it, and Odoo takes it for one. */
const ODD_TARGET: Json = {
  match: [{ not: [{ path: ['/*'] }] }],
  handle: [{ handler: 'static_response', status_code: 400 }],
  terminal: true,
};

/** A part of Caddy's configuration: JSON. */
type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };

/**
 * The whole configuration of Caddy. Pure, and the same text for the same routes in any order. There is no state of an instance in it:
 * what does not answer is asked for at the sidecar's socket (INSIDE.pages) when a visitor comes.
 */
export function caddyConfig(settings: CaddySettings, routes: readonly DoorRoute[]): Json {
  const { https } = settings;
  const hosts = hostMappings(settings, routes);
  const main = server(settings, hosts);
  const plain = https ? { plain: redirectingServer(settings, hosts) } : {};
  return {
    admin: { listen: `unix/${INSIDE.admin}|0600` },
    logging: logging(),
    apps: {
      http: {
        http_port: settings.httpPort,
        https_port: settings.httpsPort,
        grace_period: REQUESTS_STAY,
        servers: { door: main, ...plain },
      },
      ...(https ? { tls: tls(settings, routes) } : {}),
    },
  };
}

function listeners(address: string, port: number): string[] {
  return [`${isIPv6(address) ? `[${address}]` : address}:${port}`];
}

/** What both servers have: limits against slow and greedy clients, no HTTP/3 (it closes its connections at each reload). */
function basics(): { readonly [key: string]: Json } {
  return {
    protocols: ['h1', 'h2'],
    read_header_timeout: '10s',
    idle_timeout: '2m',
    max_header_bytes: 64 * 1024,
    // Certificates are those of certificateNames(), and the redirect to https is written below.
    automatic_https: { disable: true },
    logs: { default_logger_name: 'door' },
  };
}

/** The server of all instances and of the manager. */
function server(settings: CaddySettings, hosts: readonly HostMapping[]): Json {
  const { address, domain, https, httpPort, httpsPort, manager, managerPort } = settings;
  const managerHost = manager === '' ? [] : [`${manager}.${domain}`];
  const toManager = managerHost.map(
    (host): Json => ({
      match: [{ host: [host] }],
      handle: [...guards(settings), proxy(`127.0.0.1:${managerPort}`)],
      terminal: true,
    }),
  );
  return {
    ...basics(),
    listen: listeners(address, https ? httpsPort : httpPort),
    ...(https ? { tls_connection_policies: [{}] } : {}),
    routes: [
      ODD_TARGET,
      plainHost(),
      { match: [{ path: SIDECAR_PATHS }], handle: [pages()], terminal: true },
      ...toManager,
      { handle: [hostMap(hosts)] },
      {
        match: [{ vars: { [REDIRECT]: [''] } }, { path: API_PATHS }],
        handle: [subroute(instanceRoutes(settings))],
        terminal: true,
      },
      { handle: [redirect(`${REDIRECT}{http.request.uri}`)], terminal: true },
    ],
    errors: { routes: errorRoutes(settings, managerHost) },
  };
}

/** In this order: nobody's host or one without ports, database management, websockets, everything else. */
function instanceRoutes(settings: CaddySettings): Json[] {
  return [
    { match: [{ vars: { [HTTP]: [''] } }], handle: [pageOrSorry()], terminal: true },
    { handle: guards(settings) },
    { match: [{ path: ['/websocket'] }], handle: [proxy(LONGPOLLING)], terminal: true },
    { handle: [proxy(HTTP)], terminal: true },
  ];
}

/** What every request to an Odoo passes. */
function guards({ https }: CaddySettings): Json[] {
  const secure = {
    set: { 'Strict-Transport-Security': ['max-age=31536000'] },
    // Odoo's own cookie has HttpOnly but never Secure. No SameSite: customers come back from payment providers.
    replace: { 'Set-Cookie': [{ search_regexp: '^(session_id=.*)$', replace: '$1; Secure' }] },
  };
  const response = {
    deferred: true,
    // The versions of Python and of its web server are of use to nobody but attackers.
    delete: ['Server'],
    ...(https ? secure : {}),
  };
  const isDatabase = [{ path: DATABASE_PATHS }];
  return [
    subroute([{ match: isDatabase, handle: [{ handler: 'static_response', status_code: 404 }] }]),
    { handler: 'request_body', max_size: MAX_BODY_BYTES },
    { handler: 'encode', encodings: { gzip: {}, zstd: {} }, prefer: ['zstd', 'gzip'] },
    { handler: 'headers', response },
    subroute([{ match: [{ vars: { [HIDDEN]: ['yes'] } }], handle: [HIDE] }]),
  ];
}

const HIDE: Json = {
  handler: 'headers',
  response: { deferred: true, set: { 'X-Robots-Tag': ['noindex, nofollow'] } },
};

/** Plain HTTP beside HTTPS: the proof of a domain, and a redirect for what has a certificate. */
function redirectingServer(settings: CaddySettings, hosts: readonly HostMapping[]): Json {
  const { address, domain, httpPort, manager } = settings;
  const toHttps = redirect(`https://{http.request.host}${portOf(settings)}{http.request.uri}`);
  const certified: Json[] = [{ vars: { [CERTIFIED]: ['yes'] } }];
  const redirecting: Json[] = [{ not: [{ vars: { [REDIRECT]: [''] } }] }];
  const managerHost: Json[] = manager === '' ? [] : [{ host: [`${manager}.${domain}`] }];
  return {
    ...basics(),
    listen: listeners(address, httpPort),
    routes: [
      ODD_TARGET,
      plainHost(),
      { match: [{ path: [TOKEN_PATH] }], handle: [pages()], terminal: true },
      { handle: [hostMap(hosts)] },
      { match: [...certified, ...managerHost], handle: [toHttps], terminal: true },
      // A domain that waits for its certificate: https answers at the instance's other address.
      { match: redirecting, handle: [redirect(`${REDIRECT}{http.request.uri}`)], terminal: true },
      { handle: [pageOrSorry()], terminal: true },
    ],
    errors: { routes: errorRoutes(settings, []) },
  };
}

/**
 * Host names are the same in capitals (RFC 4343) and with the closing dot of a name that is complete (RFC 1034 §3.1), but a map compares
 * bytes, and Caddy has no function for it: letter by letter.
 */
function plainHost(): Json {
  const smallLetters = [...CAPITALS].map((capital) => ({
    search: capital,
    replace: capital.toLowerCase(),
  }));
  const withoutDot = { search_regexp: '\\.(:\\d+)?$', replace: '$1' };
  return {
    match: [{ header_regexp: { Host: { pattern: '[A-Z]|\\.(:\\d+)?$' } } }],
    handle: [{ handler: 'headers', request: { replace: { Host: [...smallLetters, withoutDot] } } }],
  };
}

function hostMap(hosts: readonly HostMapping[]): Json {
  return {
    handler: 'map',
    source: '{http.request.host}',
    destinations: [HTTP, LONGPOLLING, REDIRECT, CERTIFIED, HIDDEN],
    defaults: ['', '', '', '', ''],
    mappings: hosts.map(({ host, http, longpolling, redirect, hasCertificate, isHidden }) => ({
      input: host,
      outputs: [http, longpolling, redirect, hasCertificate ? 'yes' : '', isHidden ? 'yes' : ''],
    })),
  };
}

/** A request passed on, with the client's real address and without headers by which a client could speak for the door. */
function proxy(upstream: string, more: { readonly [key: string]: Json } = {}): Json {
  return {
    handler: 'reverse_proxy',
    upstreams: [{ dial: upstream }],
    stream_close_delay: STREAMS_STAY,
    headers: { request: { delete: ['X-Door-*'] } },
    transport: { protocol: 'http', dial_timeout: '5s' },
    ...more,
  };
}

/** The sidecar's socket, the request as it is. */
function pages(): Json {
  return proxy(`unix/${INSIDE.pages}`);
}

/** A page of the sidecar, and a sentence of the door's own while the sidecar is away. */
function pageOrSorry(onAnswer: Json[] = []): Json {
  return {
    handler: 'subroute',
    routes: [{ handle: [page(onAnswer)] }],
    errors: { routes: [{ handle: [SORRY] }] },
  };
}

/** A page of the sidecar in place of an answer: it sees where the visitor wanted to go, and neither body nor cookies. */
function page(onAnswer: Json[] = []): Json {
  return proxy(`unix/${INSIDE.pages}`, {
    rewrite: { method: 'GET', uri: '/page' },
    headers: {
      request: {
        delete: ['Cookie', 'Authorization'],
        set: {
          'X-Door-Host': ['{http.request.host}'],
          'X-Door-Method': ['{http.request.method}'],
          'X-Door-Uri': ['{http.request.uri}'],
          'X-Door-Refused': [onAnswer.length > 0 ? 'yes' : 'no'],
        },
      },
    },
    ...(onAnswer.length > 0 ? { handle_response: onAnswer } : {}),
  });
}

/**
 * What happens when an instance does not answer: the sidecar has the word. Its 204 says that the instance takes the request now, and
 * that goes to it once more, body included. Only a refused connection proves that nothing of a POST has been read; for reads any
 * failure will do.
 */
function errorRoutes(settings: CaddySettings, managerHost: readonly string[]): Json[] {
  const unread =
    "{http.error.status_code} == 502 && ({http.error.message}.contains('connection refused') || {http.request.method} in ['GET', 'HEAD'])";
  const answersNow = {
    match: { status_code: [204] },
    routes: [
      {
        handle: [
          ...guards(settings),
          proxy(HTTP, {
            request_buffers: BUFFERED_BYTES,
            load_balancing: { try_duration: RETRY, try_interval: '250ms' },
          }),
        ],
      },
    ],
  };
  const isManager: Json[] =
    managerHost.length > 0
      ? [{ match: [{ host: managerHost }], handle: [SORRY], terminal: true }]
      : [];
  return [
    // The same request again would be as large.
    {
      match: [{ expression: '{http.error.status_code} == 413' }],
      handle: [TOO_LARGE],
      terminal: true,
    },
    ...isManager,
    // A browser's open tab comes back again and again: that is no visitor.
    { match: [{ path: ['/websocket'] }], handle: [SORRY], terminal: true },
    { match: [{ expression: unread }], handle: [pageOrSorry([answersNow])], terminal: true },
    { handle: [SORRY] },
  ];
}

function redirect(location: string): Json {
  // Names change owners and domains are removed: without this a browser may keep a redirect for good.
  const headers = { Location: [location], 'Cache-Control': ['no-store'] };
  return { handler: 'static_response', status_code: 308, headers };
}

function sentence(
  status: number,
  text: string,
  headers: { readonly [key: string]: Json } = {},
): Json {
  return {
    handler: 'static_response',
    status_code: status,
    headers: {
      ...headers,
      'Cache-Control': ['no-store'],
      'Content-Type': ['text/plain; charset=utf-8'],
    },
    body: `${text}\n`,
  };
}

function subroute(routes: readonly Json[]): Json {
  return { handler: 'subroute', routes };
}

/** What of a request is in no log: queries, which may hold the token of a link, cookies and other headers. */
const REMOVED = { filter: 'delete' };
const ENCODER = {
  format: 'filter',
  wrap: { format: 'json' },
  fields: {
    'request>headers': REMOVED,
    'request>tls': REMOVED,
    resp_headers: REMOVED,
    'request>uri': { filter: 'regexp', regexp: '\\?.*$', value: '' },
  },
};

/** The access log: a rolled file with what tells who was visited when. */
function logging(): Json {
  return {
    logs: {
      default: { level: 'WARN', exclude: ['http.log.access'], encoder: ENCODER },
      access: {
        include: ['http.log.access.door'],
        writer: {
          output: 'file',
          filename: INSIDE.accessLog,
          mode: '0600',
          roll_size_mb: 20,
          roll_keep: 2,
        },
        encoder: ENCODER,
      },
    },
  };
}

function tls(settings: CaddySettings, routes: readonly DoorRoute[]): Json {
  const { acme, wildcard } = settings;
  const files = wildcard ? { load_files: [wildcard] } : {};
  const issuer = {
    module: 'acme',
    ca: acme.directory,
    ...(acme.email ? { email: acme.email } : {}),
    ...(acme.root ? { trusted_roots_pem_files: [acme.root] } : {}),
  };
  return {
    certificates: { automate: certificateNames(settings, routes), ...files },
    automation: { policies: [{ issuers: [issuer] }] },
  };
}
