import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { PRIVATE_NETWORKS } from '../../src/host/private-networks.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'deploy/README.md',
  'deploy/monitoring/README.md',
  'templates/README.md',
  ...['docs', 'docs/adr'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

/** Where paths in the text may begin. */
const BASES = ['', 'src', 'test', 'test/unit'];

describe('the documentation', () => {
  for (const document of DOCUMENTS)
    it(`names and links only files that exist: ${document}`, () => {
      const text = readFileSync(join(ROOT, document), 'utf8');
      const links = [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map(([, link = '']) => link);
      const broken = links
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => !existsSync(join(ROOT, dirname(document), link)));
      const paths = [...text.matchAll(/`([\w.-]+\/[\w./-]+\.ts)`/g)].map(([, path = '']) => path);
      const missing = paths.filter(
        (path) => !BASES.some((base) => existsSync(join(ROOT, base, path))),
      );
      expect([...broken, ...missing]).to.deep.equal([]);
    });

  it('gives the nodes of a swarm rules against all networks that the sidecar’s own firewall closes', () => {
    const text = readFileSync(join(ROOT, 'docs/several-hosts.md'), 'utf8');
    const dropped = [...text.matchAll(/^iptables -A DOCKER-USER -i docker0 -d (\S+) -j DROP$/gm)];
    const networks = dropped.flatMap(([, list = '']) => list.split(','));
    expect(networks).to.have.members([...PRIVATE_NETWORKS.ipv4]);
    for (const network of PRIVATE_NETWORKS.ipv6) expect(text).to.include(`\`${network}\``);
  });
});
