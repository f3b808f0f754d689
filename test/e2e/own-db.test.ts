import { expect } from 'chai';
import { passFinalNotice, passSince, purged } from './support/dunning.ts';
import { logIn } from './support/login.ts';
import { chapter, scenario } from './support/scenario.ts';

chapter('an instance with a Postgres of its own', () => {
  let id: number;

  scenario('is sold, runs, and its administrator logs in', async (env) => {
    const { shop, instances, sidecar } = env;
    const invoice = await shop.sell([{ product: await shop.plan({ template: 'odoo-own-db' }) }]);
    const [row] = await instances.running(invoice, 1);
    if (!row) throw new Error('nothing runs');
    id = row.id;
    const containers = await env.containersOf(id);
    const db = containers.find((it) => it.Name.endsWith('-db'));
    expect(containers).to.have.lengthOf(2);
    expect(db?.HostConfig.NetworkMode).to.equal('none');
    const { login, password } = await sidecar.secret(id);
    expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
  });

  scenario('stops and starts again with the same data', async (env) => {
    const { instances, sidecar } = env;
    const { login, password } = await sidecar.secret(id);
    await instances.press(id, 'stop_instance');
    await instances.reaches(id, 'stopped');
    await instances.press(id, 'start_instance');
    const row = await instances.reaches(id, 'running');
    expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
  });

  scenario('is purged when retention is over, and restored from its last backup', async (env) => {
    const { instances, sidecar } = env;
    const { login, password } = await sidecar.secret(id);
    await instances.remove([id]);
    await passSince(env, await instances.subscription({ id }), 'hidden_at', 30);
    await passFinalNotice(env, id);
    await sidecar.restore(id, await purged(env, id));
    await instances.reaches(id, 'stopped');
    await instances.press(id, 'start_instance');
    const row = await instances.reaches(id, 'running');
    expect(await env.containersOf(id)).to.have.lengthOf(2);
    expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
  });
});
