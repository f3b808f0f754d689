import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { probeSmtp } from '../../../src/host/smtp-probe.ts';

describe('the question to a mail server', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  /** What the server says at first, and to EHLO. */
  let says: { greeting: string; offers: string };
  let port: number;

  beforeEach(async () => {
    says = { greeting: '220 mail.example.com ESMTP\r\n', offers: '250-mail\r\n250 STARTTLS\r\n' };
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.write(says.greeting);
      socket.on('data', () => socket.write(says.offers));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const ask = (encryption: 'none' | 'starttls', user = '') =>
    probeSmtp({ host: '127.0.0.1', port, encryption, user });
  const complaint = (asked: Promise<string>) =>
    asked.then(
      () => 'none',
      (error: Error) => error.message,
    );

  it('gets its greeting, also one of several lines', async () => {
    expect(await ask('starttls', 'bot')).to.equal('220 mail.example.com ESMTP');
    says.greeting = '220-mail.example.com\r\n220 ESMTP\r\n';
    expect(await ask('none')).to.equal('220-mail.example.com');
  });

  it('says what is wrong', async () => {
    says.offers = '250-mail\r\n250 SIZE 1000\r\n';
    expect(await complaint(ask('starttls'))).to.match(/offers no STARTTLS$/);
    says.greeting = '554 no service\r\n';
    expect(await complaint(ask('none'))).to.match(/does not greet as SMTP: 554 no service$/);
    says.greeting = 'x'.repeat(40_000);
    expect(await complaint(ask('none'))).to.equal('it answers without end');
    server.close();
    for (const socket of sockets) socket.destroy();
    expect(await complaint(ask('none'))).to.match(/ECONNREFUSED/);
  });

  it('notices a server that hangs up', async () => {
    server.removeAllListeners('connection');
    server.on('connection', (socket) => socket.end());
    expect(await complaint(ask('none'))).to.match(/has closed the connection$/);
  });
});
