import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { inContainer } from './support/docker.ts';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

/** How many open the page at the same moment. */
const VISITORS = 40;

chapter('faults of a running instance', () => {
  let row: Row;
  const container = () => `ms-${theEnvironment().stack.install}-${row.id}-odoo`;
  const directory = () => `${theEnvironment().instancesDir}/${row.id}`;

  scenario('forty concurrent login pages are all served', async ({ instances, shop }) => {
    const invoice = await shop.sell([{ product: await shop.plan({}) }]);
    const [first] = await instances.running(invoice, 1);
    if (!first) throw new Error('nothing runs');
    row = first;
    const pages = Array.from({ length: VISITORS }, async () => {
      const page = await fetch(`${row.instance_url}/web/login`, {
        signal: AbortSignal.timeout(60_000),
      });
      await page.text();
      return page.status;
    });
    expect(await Promise.all(pages)).to.deep.equal(Array(VISITORS).fill(200));
  });

  scenario('an instance whose container was paused by hand is unpaused', async (env) => {
    await run('docker', ['pause', container()]);
    await eventually(async () => {
      const [found] = await env.containersOf(row.id);
      expect(found?.State).to.include({ Running: true, Paused: false });
    });
    await env.instances.reaches(row.id, 'running');
  });

  scenario(
    'a missing filestore is reported as an error, and not replaced by an empty one',
    async (env) => {
      const kept = `${directory()}.kept`;
      await env.onHost('mv', '--', `${directory()}/filestore`, kept);
      await env.instances.press(row.id, 'restart_instance');
      const lost = await env.instances.reaches(row.id, 'error');
      expect(lost.reason, String(lost.phase_message)).to.equal('FilesMissing');
      expect(await env.onHost('find', directory(), '-name', 'filestore')).to.equal('');
      await env.onHost('mv', '--', kept, `${directory()}/filestore`);
      await env.instances.press(row.id, 'start_instance');
      await env.instances.reaches(row.id, 'running');
    },
  );

  scenario('an instance without its Compose file can be stopped and removed', async (env) => {
    await env.onHost('rm', '--', `${directory()}/docker-compose.yml`);
    await env.instances.press(row.id, 'stop_instance');
    await env.instances.reaches(row.id, 'stopped');
    const [stopped] = await env.containersOf(row.id);
    expect(stopped?.State).to.include({ Running: false, ExitCode: 0 });
    await env.instances.remove([row.id]);
    expect(await env.containersOf(row.id)).to.deep.equal([]);
  });

  scenario('the sidecar is healthy afterwards', async ({ sidecar }) => {
    expect(await inContainer(sidecar.name, ['true'])).to.equal('');
    const warnings = (await sidecar.log()).filter((line) => /memory leak/i.test(line.msg ?? ''));
    expect(warnings).to.deep.equal([]);
  });
});
