import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { isFree, isTalkedTo } from '../../../src/engine/tcp-ports.ts';

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

  it('finds out by binding', async () => {
    expect(await isFree(bound, address)).to.equal(false);
    server.close();
    await once(server, 'close');
    expect(await isFree(bound, address)).to.equal(true);
    expect(await isFree(bound, address), 'lets go again').to.equal(true);
  });

  it('knows whether somebody is connected, to this port and no other', async () => {
    expect(await isTalkedTo(bound)).to.equal(false);
    const visitor = connect(bound, address);
    const [accepted] = await once(server, 'connection');
    expect(await isTalkedTo(bound)).to.equal(true);
    expect(await isTalkedTo(visitor.localPort ?? 0), "the visitor's own end is one, too").to.equal(
      true,
    );
    expect(await isTalkedTo(1)).to.equal(false);
    visitor.destroy();
    await once(accepted.resume(), 'close');
    expect(await isTalkedTo(bound)).to.equal(false);
  });

  it('says when the address is not one of this machine', async () => {
    const error = await isFree(bound, '192.0.2.1').catch((it) => it);
    expect(error).to.have.property('code', 'EADDRNOTAVAIL');
  });
});
