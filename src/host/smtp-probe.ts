import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** How long a mail server may take for each of its answers, in milliseconds, and how long they may be together, in characters. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWERS = 16 * 1024;

export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  readonly encryption: 'none' | 'starttls' | 'ssl';
  /** '': it is not logged in to. */
  readonly user: string;
}

/**
 * Greets a mail server and asks what it offers; neither logs in nor sends.
 * @returns the first line of its greeting
 * @throws Error saying what is wrong: nobody answers, something other than SMTP does, or it lacks what is configured
 */
export async function probeSmtp({ encryption, host, port, user }: SmtpServer): Promise<string> {
  const target = { host, port, timeout: TIMEOUT_MS };
  const socket =
    encryption === 'ssl' ? connectTls({ ...target, servername: host }) : connectPlain(target);
  const place = `${host}:${port}`;
  try {
    const replies = repliesOf(socket);
    const greeting = await nextOf(replies, place);
    if (!greeting.startsWith('220'))
      throw new Error(`${place} does not greet as SMTP: ${firstLine(greeting)}`);
    socket.write('EHLO microsaas.invalid\r\n');
    const offers = await nextOf(replies, place);
    if (encryption === 'starttls' && !/^250[ -]STARTTLS\b/im.test(offers))
      throw new Error(`${place} offers no STARTTLS`);
    // Before STARTTLS a server need not say how it is logged in to.
    if (user && encryption === 'ssl' && !/^250[ -]AUTH\b/im.test(offers))
      throw new Error(`${place} lets nobody log in`);
    return firstLine(greeting);
  } finally {
    socket.destroy();
  }
}

async function nextOf(replies: AsyncGenerator<string>, place: string): Promise<string> {
  const { done, value } = await replies.next();
  if (done) throw new Error(`${place} has closed the connection`);
  return value;
}

/** Its replies, each with all of its lines: the last one of a reply has a space after the number. */
async function* repliesOf(socket: Socket): AsyncGenerator<string> {
  socket.setEncoding('latin1');
  socket.once('timeout', () => socket.destroy(new Error('no answer within 10 s')));
  let text = '';
  let length = 0;
  for await (const chunk of socket) {
    text += chunk;
    length += chunk.length;
    if (length > MAX_ANSWERS) throw new Error('it answers without end');
    const end = /^\d{3} .*\r?\n/m.exec(text);
    if (!end) continue;
    const reply = text.slice(0, end.index + end[0].length);
    text = text.slice(reply.length);
    yield reply;
  }
}

function firstLine(text: string): string {
  return (text.split(/\r?\n/)[0] ?? '').slice(0, 200);
}
