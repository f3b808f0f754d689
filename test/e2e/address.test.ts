import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { status } from './support/login.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

chapter('an address belongs to one customer', () => {
  let plan: number;
  let row: Row;

  before(async () => {
    const { shop, instances } = theEnvironment();
    plan = await shop.plan();
    [row] = (await instances.running(await shop.sell([{ product: plan }]), 1)) as [Row];
  });

  scenario('the next customer gets another; who was removed comes back to theirs', async (env) => {
    const { instances, shop } = env;
    await instances.remove([row.id]);
    const [next] = await instances.running(await shop.sell([{ product: plan }]), 1);
    expect([next?.http_port, next?.longpolling_port]).not.to.include(row.http_port);
    expect(next?.instance_url).not.to.equal(row.instance_url);
    await instances.press(row.id, 'action_restaurar');
    const back = await instances.reaches(row.id, 'running');
    expect(back).to.include({
      http_port: row.http_port,
      longpolling_port: row.longpolling_port,
      instance_url: row.instance_url,
    });
    expect(await status(`${row.instance_url}/web/login`)).to.equal(200);
  });

  scenario('a port that another program has taken is named, and nobody moves', async (env) => {
    const { instances } = env;
    await instances.press(row.id, 'stop_instance');
    await instances.reaches(row.id, 'stopped');
    const squatter = await listening(row.http_port);
    await instances.press(row.id, 'start_instance');
    const stuck = await instances.reaches(row.id, 'error');
    expect(stuck).to.include({ reason: 'PortTaken', http_port: row.http_port });
    expect(stuck.phase_message).to.include(String(row.http_port));
    await new Promise((resolve) => squatter.close(resolve));
    await instances.press(row.id, 'start_instance');
    await eventually(() => instances.reaches(row.id, 'running'));
  });
});

async function listening(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}
