import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { isFree } from '../../../src/host/tcp-ports.ts';

const address = '127.0.0.1';

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

  it('cannot be tested on an address that is not this machine’s', async () => {
    const error = await isFree(bound, '192.0.2.1').catch((it) => it);
    expect(error).to.have.property('code', 'EADDRNOTAVAIL');
  });
});
