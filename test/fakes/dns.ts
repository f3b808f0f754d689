import { createSocket, type Socket } from 'node:dgram';

/** What a fake name server says of a name. Addresses in order, and the CNAME that they are under. */
export interface FakeName {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly cname?: string;
  /** TXT records, each a text or its parts. */
  readonly txt?: ReadonlyArray<string | readonly string[]>;
  /** `silent`: no answer at all; `servfail`: as a resolver answers a loop of CNAMEs; `truncated`: too long for UDP. */
  readonly trouble?: 'silent' | 'servfail' | 'truncated';
}

const TYPE = { a: 1, cname: 5, txt: 16, aaaa: 28 } as const;
/** Flags of an answer: response, recursion desired and available. */
const ANSWER = 0x8180;
const TRUNCATED = 0x0200;
const SERVFAIL = 2;
const NXDOMAIN = 3;

/** A resolver over UDP that knows the names it is given and no other (RFC 1035). */
export class FakeDns {
  readonly names = new Map<string, FakeName>();
  /** How many questions it was asked. */
  asked = 0;
  readonly #socket: Socket = createSocket('udp4');

  /** @returns where it listens, as `address:port` */
  async listen(address = '127.0.0.1', port = 0): Promise<string> {
    this.#socket.on('message', (question, from) => {
      this.asked += 1;
      const answer = this.#answer(question);
      if (answer) this.#socket.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind(port, address, () => resolve());
    });
    return `${address}:${this.#socket.address().port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(message: Buffer): Buffer | null {
    const { end, name, type } = readQuestion(message);
    const known = this.names.get(name.toLowerCase());
    if (known?.trouble === 'silent') return null;
    const records = known && !known.trouble ? recordsOf(name, type, known) : [];
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    const code = known ? (known.trouble === 'servfail' ? SERVFAIL : 0) : NXDOMAIN;
    header.writeUInt16BE(ANSWER | (known?.trouble === 'truncated' ? TRUNCATED : 0) | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    return Buffer.concat([header, message.subarray(12, end), ...records]);
  }
}

function readQuestion(message: Buffer) {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: message.readUInt16BE(at + 1), end: at + 5 };
}

function recordsOf(
  name: string,
  type: number,
  { a = [], aaaa = [], cname, txt = [] }: FakeName,
): Buffer[] {
  const owner = cname ?? name;
  const alias = cname ? [record(name, TYPE.cname, encodeName(cname))] : [];
  if (type === TYPE.a)
    return [
      ...alias,
      ...a.map((it) => record(owner, TYPE.a, Buffer.from(it.split('.').map(Number)))),
    ];
  if (type === TYPE.aaaa)
    return [...alias, ...aaaa.map((it) => record(owner, TYPE.aaaa, encodeIPv6(it)))];
  if (type === TYPE.txt) return [...alias, ...txt.map((it) => record(owner, TYPE.txt, texts(it)))];
  return alias;
}

function record(name: string, type: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodeName(name), fixed, data]);
}

function encodeName(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.alloc(1)]);
}

/** The parts of a TXT record, each with its length. */
function texts(parts: string | readonly string[]): Buffer {
  const all = typeof parts === 'string' ? [parts] : parts;
  return Buffer.concat(all.map((it) => Buffer.from(`${String.fromCharCode(it.length)}${it}`)));
}

/** Takes the short form with one `::`, or the long one. */
function encodeIPv6(address: string): Buffer {
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const groups = [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
