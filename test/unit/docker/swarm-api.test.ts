import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { SwarmApi } from '../../../src/docker/swarm-api.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { aService } from '../swarm/samples.ts';

/** What a manager answers a request with. */
type Answer = { readonly status: number; readonly body: unknown };

const NO_LEADER = { status: 503, body: { message: 'The swarm does not have a leader.' } };
const NODE = {
  ID: 'n1',
  Spec: { Availability: 'active' },
  Description: {
    Hostname: 'one',
    Resources: { NanoCPUs: 2e9, MemoryBytes: 8e9 },
    Engine: { EngineVersion: '28.0.0' },
  },
  Status: { State: 'ready', Addr: '127.0.0.1' },
  ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '192.0.2.1:2377' },
};

describe('a swarm, through its managers', () => {
  const folder = temporaryFolder();
  let servers: Server[];
  let asked: string[];
  let answer: (manager: string, request: string) => Answer;

  beforeEach(async () => {
    asked = [];
    servers = [];
    for (const name of ['a', 'b']) {
      const server = createServer((request, response) => {
        const what = `${request.method} ${request.url?.split('?')[0]}`;
        asked.push(`${name} ${what}`);
        const { body, status } = answer(name, what);
        response.writeHead(status).end(JSON.stringify(body));
      });
      await new Promise<void>((resolve) => server.listen(join(folder(), name), resolve));
      servers.push(server);
    }
  });
  afterEach(() => {
    for (const server of servers) server.close();
  });

  const swarm = (...names: string[]) => new SwarmApi(names.map((name) => join(folder(), name)));

  it('asks the next one where one is away or knows no leader, and that one first from then on', async () => {
    answer = (manager) => (manager === 'a' ? NO_LEADER : { status: 200, body: [NODE] });
    const api = swarm('nowhere', 'a', 'b');
    const [node] = await api.nodes();
    expect(node).to.deep.include({ id: 'n1', address: '192.0.2.1', isReady: true, isActive: true });
    await api.nodes();
    expect(asked).to.deep.equal(['a GET /nodes', 'b GET /nodes', 'b GET /nodes']);
  });

  it('says what the last one said where none knows a leader', async () => {
    answer = () => NO_LEADER;
    const error = await swarm('a', 'b')
      .nodes()
      .catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'DockerFailed');
    expect(asked).to.have.length(2);
  });

  it('takes no node for lost of which a new leader has not heard yet', async () => {
    const unknown = { ...NODE, ID: 'n2', Status: { ...NODE.Status, State: 'unknown' } };
    answer = () => ({ status: 200, body: [NODE, unknown] });
    const error = await swarm('a')
      .nodes()
      .catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'DockerUnavailable');
  });

  it('asks no other where one refuses: all would', async () => {
    answer = () => ({ status: 400, body: { message: 'name must be valid' } });
    const error = await swarm('a', 'b')
      .makeSecret('?', {}, 'content')
      .catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'DockerRefused');
    expect(asked).to.deep.equal(['a POST /secrets/create']);
  });

  it('changes a service that somebody else has changed meanwhile as it is by then', async () => {
    const { spec } = aService('n1');
    let updates = 0;
    answer = (_, what) => {
      if (what.startsWith('GET'))
        return { status: 200, body: { ID: 's1', Version: { Index: 5 + updates }, Spec: spec } };
      updates += 1;
      return updates === 1
        ? { status: 500, body: { message: 'rpc error: desc = update out of sequence' } }
        : { status: 200, body: {} };
    };
    await swarm('a').put(spec);
    expect(asked.filter((what) => what.includes('update'))).to.have.length(2);
  });

  it('gives a service that was made a moment ago its specification', async () => {
    const { spec } = aService('n1');
    let isThere = false;
    answer = (_, what) => {
      if (what.endsWith('/create')) {
        isThere = true;
        return { status: 409, body: { message: 'name conflicts with an existing object' } };
      }
      if (what.endsWith('/update')) return { status: 200, body: {} };
      return isThere
        ? { status: 200, body: { ID: 's1', Version: { Index: 5 }, Spec: spec } }
        : { status: 404, body: { message: 'service not found' } };
    };
    await swarm('a').put(spec);
    expect(asked.at(-1)).to.equal('a POST /services/s1/update');
  });
});
