import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** How a made-up server is. */
export interface WireServerOptions {
  /** Its certificate and key as PEM; null: it has no TLS. */
  readonly identity: { readonly cert: string; readonly key: string } | null;
  readonly isStandby?: boolean;
}

/** A Postgres that lets in who knows any password, and knows whether it is a standby and what a flood is: as much of its protocol as that takes. */
export interface WireServer {
  readonly port: number;
  /** How many have logged in. */
  readonly logins: () => number;
  /** What they have said, in order. */
  readonly passwords: readonly string[];
  readonly close: () => Promise<void>;
}

/** Begins TLS, before anything else is said. */
const SSL_REQUEST = 80_877_103;
/** What it asks for. */
const CLEAR_TEXT = 3;
const BOOLEAN = 16;
const TEXT = 25;

/** @param host the address it listens at @param port 0: any that is free */
export async function startWireServer(
  host: string,
  port: number,
  { identity, isStandby = false }: WireServerOptions,
): Promise<WireServer> {
  const passwords: string[] = [];
  const sockets = new Set<Socket>();
  const talk = (socket: Socket) => {
    socket.on('error', () => {}); // whoever tests it breaks connections off
    socket.once('data', () => {
      socket.write(message('R', int32(CLEAR_TEXT)));
      socket.once('data', (said) => {
        passwords.push(said.subarray(5, -1).toString());
        socket.write(Buffer.concat([message('R', int32(0)), READY]));
        socket.on('data', (query) => answer(socket, query.toString('latin1'), isStandby));
      });
    });
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (first) => {
      const asksForTls = first.length === 8 && first.readInt32BE(4) === SSL_REQUEST;
      if (!asksForTls) throw new Error('it did not ask for TLS');
      socket.write(identity ? 'S' : 'N');
      if (identity) talk(new TLSSocket(socket, { isServer: true, ...identity }));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return {
    port: (server.address() as { readonly port: number }).port,
    logins: () => passwords.length,
    passwords,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(socket: Socket, query: string, isStandby: boolean): void {
  if (!query.startsWith('Q')) return;
  if (query.includes('flood')) socket.write(row('text', TEXT, 'x'.repeat(2_000_000)));
  else if (query.includes('pg_is_in_recovery'))
    socket.write(row('isStandby', BOOLEAN, isStandby ? 't' : 'f'));
  socket.write(Buffer.concat([message('C', text('SELECT 1')), READY]));
}

const READY = message('Z', Buffer.from('I'));

/** One row of one column. */
function row(name: string, type: number, value: string): Buffer {
  const column = [text(name), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(0)];
  return Buffer.concat([
    message('T', int16(1), ...column),
    message('D', int16(1), int32(value.length), Buffer.from(value)),
  ]);
}

function message(kind: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}
