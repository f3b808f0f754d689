import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { ServiceSpec } from '../../../src/docker/swarm-api.ts';
import { type InstanceSpec, instanceSpec } from '../../../src/files/instance-spec.ts';
import { nodeOf, replicasOf, serviceSpec, stopped } from '../../../src/swarm/service-spec.ts';

const GOLDEN = new URL('../../golden/postgres-on-the-network/', import.meta.url);

const spec = instanceSpec(readFileSync(new URL('docker-compose.yml', GOLDEN), 'utf8'), {
  ...{ template: 'odoo', conf: '/srv/microsaas/instances/7/etc/odoo.conf' },
});

function made(over: Partial<InstanceSpec> = {}): ServiceSpec {
  return serviceSpec(
    { ...spec, ...over },
    {
      ...{ name: 'ms-k3x9ab-7', imageId: `sha256:${'a'.repeat(64)}`, node: 'node1' },
      ...{ conf: { id: 'secret1', name: 'ms-k3x9ab-7-conf-0123' }, owner: { uid: 100, gid: 101 } },
    },
  );
}

describe('the service of an instance', () => {
  /** After a wanted change: UPDATE_GOLDEN=1, then read the difference. */
  it('is the golden one', () => {
    const file = new URL('service.json', GOLDEN);
    const text = `${JSON.stringify(made(), null, 2)}\n`;
    if (process.env['UPDATE_GOLDEN']) writeFileSync(file, text);
    expect(text).to.equal(readFileSync(file, 'utf8'));
  });

  it('tells what was made from another specification', () => {
    const label = (of: ServiceSpec) => of.Labels?.['microsaas.made'];
    expect(label(made())).to.equal(label(made()));
    expect(label(made({ pids: 1 }))).not.to.equal(label(made()));
  });

  it('publishes a port of the container once: of two, Swarm would forget the first', () => {
    const ports = (of: ServiceSpec) => of.EndpointSpec?.Ports?.map((it) => it.PublishedPort);
    expect(ports(made())).to.deep.equal([8100]);
    const workers = [
      { target: 8069, published: 8100 },
      { target: 8072, published: 8200 },
    ];
    expect(ports(made({ ports: workers }))).to.deep.equal([8100, 8200]);
  });

  it('is on one node, with one container or none', () => {
    expect(nodeOf(made())).to.equal('node1');
    expect(replicasOf(made())).to.equal(1);
    expect(replicasOf(stopped(made()))).to.equal(0);
    expect(stopped(made())).to.deep.include({ TaskTemplate: made().TaskTemplate });
  });
});
