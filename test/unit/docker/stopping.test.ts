import { expect } from 'chai';
import type { Container, DockerApi } from '../../../src/docker/docker-api.ts';
import { removeAll, stopAll } from '../../../src/docker/stopping.ts';

function aContainer(service: string, over: Partial<Container> = {}, needs = ''): Container {
  return {
    id: service,
    name: `ms-k3x9ab-7-${service}`,
    state: 'running',
    created: 0,
    labels: { 'com.docker.compose.service': service, 'com.docker.compose.depends_on': needs },
    published: new Map(),
    ...over,
  };
}

describe('stopping', () => {
  const { signal } = new AbortController();
  let done: string[];
  const note = (what: string) => async (id: string) => {
    done.push(`${what} ${id}`);
  };
  const api = { stop: note('stop'), unpause: note('unpause'), remove: note('remove') };
  beforeEach(() => {
    done = [];
  });
  const docker = api as unknown as DockerApi;

  it('stops a Postgres after the Odoo that uses it, whatever the order in Docker’s list', async () => {
    const odoo = aContainer('odoo', {}, 'db:service_started:false');
    for (const containers of [
      [odoo, aContainer('db')],
      [aContainer('db'), odoo],
    ]) {
      done = [];
      await stopAll(docker, containers, signal);
      expect(done).to.deep.equal(['stop odoo', 'stop db']);
    }
  });

  it('unpauses a paused container first, so that it gets the signal', async () => {
    await stopAll(docker, [aContainer('odoo', { state: 'paused' })], signal);
    expect(done).to.deep.equal(['unpause odoo', 'stop odoo']);
  });

  it('stops containers whose Compose labels are missing or cyclic', async () => {
    await removeAll(
      docker,
      [aContainer('a', {}, 'b:x'), aContainer('b', {}, 'a:x'), aContainer('c', { labels: {} })],
      signal,
    );
    expect(done).to.have.members([
      ...['stop a', 'stop b', 'stop c', 'remove a', 'remove b', 'remove c'],
    ]);
  });
});
