import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { isFree } from '../../../src/host/tcp-ports.ts';

const address = '127.0.0.1';
/** An address of this test's own, so that no other program's ports are in the way. */
const OWN = '127.63.15.1';

describe('TCP ports', () => {
  let server: Server;
  let bound: number;
  beforeEach(async () => {
    server = createServer().listen(0, address);
    await once(server, 'listening');
    bound = (server.address() as AddressInfo).port;
  });
  afterEach(() => server.close());

  it('are tested by binding', async () => {
    expect(await isFree(bound, address)).to.equal(false);
    server.close();
    await once(server, 'close');
    expect(await isFree(bound, address)).to.equal(true);
    expect(await isFree(bound, address), 'lets go again').to.equal(true);
  });

  it('below 1024 are tested by connecting, where this process may not bind them', async () => {
    const isRoot = process.getuid?.() === 0;
    const privileged = createServer();
    if (isRoot) {
      privileged.listen(81, OWN);
      await once(privileged, 'listening');
      // As another user, root has no more rights than anybody.
      process.seteuid?.(65_534);
    }
    try {
      if (isRoot) expect(await isFree(81, OWN)).to.equal(false);
      expect(await isFree(82, OWN)).to.equal(true);
    } finally {
      if (isRoot) process.seteuid?.(0);
      privileged.close();
    }
  });

  it('cannot be tested on an address that is not this machine’s', async () => {
    const error = await isFree(bound, '192.0.2.1').catch((it) => it);
    expect(error).to.have.property('code', 'EADDRNOTAVAIL');
  });
});
