import { expect } from 'chai';
import {
  composeUp,
  containerLogs,
  imagePull,
  networkCreate,
  parseImageUser,
} from '../../../src/docker/commands.ts';

const COMPOSE =
  'docker compose --ansi never --project-name ms-k3x9ab-7 --file /d/docker-compose.yml --env-file /dev/null';
const project = ['ms-k3x9ab-7', '/d/docker-compose.yml'] as const;

describe('commands', () => {
  for (const [command, expected] of [
    [composeUp(...project), `${COMPOSE} up --detach --no-build --quiet-pull --remove-orphans --`],
    [
      composeUp(...project, ['db']),
      `${COMPOSE} up --detach --no-build --quiet-pull --remove-orphans -- db`,
    ],
    [
      networkCreate('k3x9ab', 'ms-k3x9ab-net-1'),
      'docker network create --driver bridge --opt com.docker.network.bridge.enable_icc=false --opt com.docker.network.bridge.name=ms-k3x9ab-1 --label microsaas.install=k3x9ab -- ms-k3x9ab-net-1',
    ],
    [imagePull('odoo:19.0'), 'docker pull --quiet -- odoo:19.0'],
    [containerLogs('c', { tail: 20, follow: false }), 'docker logs --tail 20 -- c'],
    [containerLogs('c', { tail: 20, follow: true }), 'docker logs --tail 20 --follow -- c'],
  ] as const)
    it(expected, () => {
      expect(command.join(' ')).to.equal(expected);
    });

  it('never takes the directory for the project name', () => {
    expect(() => composeUp('', '/d/docker-compose.yml')).to.throw('project name');
  });

  it('reads the numbers of a user', () => {
    expect(parseImageUser('uid=100(odoo) gid=101(odoo) groups=101(odoo)\n')).to.deep.equal({
      uid: 100,
      gid: 101,
    });
    expect(() => parseImageUser('sh: id: not found')).to.throw('not an answer of id');
  });
});
