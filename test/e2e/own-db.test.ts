import { expect } from 'chai';
import { passFinalNotice, passSince, purged } from './support/ladder.ts';
import { logIn } from './support/login.ts';
import { chapter, scenario } from './support/scenario.ts';

chapter('an instance with a Postgres of its own', () => {
  let id: number;

  scenario('is sold, runs, and its administrator logs in', async (world) => {
    const { shop, instances, sidecar } = world;
    const invoice = await shop.sell([{ product: await shop.plan({ template: 'odoo-own-db' }) }]);
    const [row] = await instances.running(invoice, 1, 240);
    if (!row) throw new Error('nothing runs');
    id = row.id;
    const containers = await world.containersOf(id);
    const db = containers.find((it) => it.Name.endsWith('-db'));
    expect(containers).to.have.lengthOf(2);
    expect(db?.HostConfig.NetworkMode).to.equal('none');
    const { login, password } = await sidecar.secret(id);
    expect(await logIn(world, row, login, password)).to.be.greaterThan(0);
  });

  scenario('stops and starts again with the same data', async (world) => {
    const { instances, sidecar } = world;
    const { login, password } = await sidecar.secret(id);
    await instances.press(id, 'stop_instance');
    await instances.reaches(id, 'stopped');
    await instances.press(id, 'start_instance');
    const row = await instances.reaches(id, 'running');
    expect(await logIn(world, row, login, password)).to.be.greaterThan(0);
  });

  scenario('goes when retention is over, and comes back from its archive', async (world) => {
    const { instances, sidecar } = world;
    const { login, password } = await sidecar.secret(id);
    await instances.remove([id]);
    await passSince(world, await instances.subscription({ id }), 'hidden_at', 30);
    await passFinalNotice(world, id);
    await sidecar.restore(await purged(world, id));
    await instances.reaches(id, 'stopped');
    await instances.press(id, 'start_instance');
    const row = await instances.reaches(id, 'running');
    expect(await world.containersOf(id)).to.have.lengthOf(2);
    expect(await logIn(world, row, login, password)).to.be.greaterThan(0);
  });
});
