import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { isFree, nextFreePair } from '../../../src/engine/tcp-ports.ts';

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

  it('says when the address is not one of this machine', async () => {
    const error = await isFree(bound, '192.0.2.1').catch((it) => it);
    expect(error).to.have.property('code', 'EADDRNOTAVAIL');
  });

  it('passes over a port that another program has, and over those of other instances', async () => {
    const range = [bound, bound + 50] as const;
    const first = await nextFreePair({
      http: range,
      longpolling: range,
      taken: new Set(),
      address,
    });
    expect(first.http).to.be.greaterThan(bound);
    expect(first.longpolling).to.be.greaterThan(first.http);
    const taken = new Set([first.http, first.longpolling]);
    const second = await nextFreePair({ http: range, longpolling: range, taken, address });
    expect(second.http).to.be.greaterThan(first.longpolling);
  });

  it('says which range is used up, and that this may pass', async () => {
    const search = { http: [bound, bound], longpolling: [1, 2], taken: new Set<number>(), address };
    const error = await nextFreePair(search as never).catch((it) => it);
    expect(error).to.include({ name: 'RetryableError', reason: 'NoFreePorts' });
    expect(error.message).to.equal(`No port from ${bound} to ${bound} is free.`);
  });
});
