import { expect } from 'chai';
import { RunError, run } from '../../stack/run.ts';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

chapter('the operator’s command line', () => {
  let one: Row;

  before(async () => {
    const { shop, instances } = theEnvironment();
    const invoice = await shop.sell([{ product: await shop.plan() }]);
    [one] = (await instances.running(invoice, 1)) as [Row];
  });

  async function complaint(...args: string[]): Promise<string> {
    const error = await theEnvironment()
      .sidecar.microsaas(...args)
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RunError);
    const { exitCode, output } = error as RunError;
    expect(exitCode, output).to.equal(2);
    expect(output).not.to.match(/^\s+at /m);
    return output;
  }

  scenario('lists the instances with what an operator needs', async ({ sidecar }) => {
    const [title, ...lines] = (await sidecar.microsaas('ps')).split('\n');
    expect(title).to.match(/^ID +NAME +CUSTOMER +STATE +SINCE +MEMORY +ADDRESS$/);
    const line = lines.find((it) => it.startsWith(`${one.id} `));
    expect(line).to.include(one.name.slice(0, 30)).and.include(String(one.instance_url));
    expect(line).to.match(/ running +\d+ (s|min|h) +\d+ MB /);
    const problems = await sidecar.microsaas('ps', '--problems');
    expect(problems).not.to.match(new RegExp(`^${one.id} `, 'm'));
  });

  scenario('says all of one instance, and why it was started again', async (env) => {
    const { sidecar } = env;
    const status = await sidecar.microsaas('status', String(one.id));
    expect(status)
      .to.match(/^state +running$/m)
      .and.match(/^why +Running\.$/m);
    expect(status).to.match(/^seen +containers running, database ready, files whole, answers, /m);
    expect(status)
      .to.match(/^since +.* ago$/m)
      .and.match(/^memory +\d+ MB in use$/m);
    const before = await sidecar.metric('microsaas_drift_mended_total');
    await run('docker', ['rm', '--force', '--', `ms-${env.stack.install}-${one.id}-odoo`]);
    await eventually(async () => {
      const { log } = await env.instances.row(one.id);
      expect(log).to.match(/Starting the instance\. Its containers were gone\.$/m);
    });
    await env.instances.reaches(one.id, 'running');
    await sidecar.idle();
    expect(await sidecar.metric('microsaas_drift_mended_total')).to.be.at.least(before + 1);
    expect(await sidecar.microsaas('status', String(one.id))).to.include(
      'Its containers were gone.',
    );
  });

  scenario('accepts a name in place of a number', async ({ sidecar }) => {
    const byNumber = await sidecar.microsaas('secret', String(one.id), '--json');
    // An instance of another run may have the same name: then the numbers are listed instead.
    const named = (await theEnvironment().instances.find([['name', '=', one.name]])).filter(
      (row) => row.state !== 'removed',
    );
    if (named.length === 1)
      expect(await sidecar.microsaas('secret', one.name, '--json')).to.equal(byNumber);
    else expect(await complaint('secret', one.name)).to.include(`  ${one.id}  ${one.name}`);
    expect(await sidecar.microsaas('logs', String(one.id), '--tail', '5')).not.to.equal('');
  });

  scenario('explains wrong use in one sentence', async () => {
    expect(await complaint('secret', '9999')).to.include('no instance 9999; microsaas ps');
    expect(await complaint('logs', '9999')).to.include('instance 9999 has no container here');
    expect(await complaint('secret', 'nobody-has-this')).to.include('no instance named');
    expect(await complaint('secret', one.name.slice(0, 1), '--jsn')).to.include('Did you mean');
    expect(await complaint('status')).to.include("missing required argument 'instance'");
    expect(await complaint('status', '9999')).to.include('no instance 9999; microsaas ps');
    expect(await complaint('update', String(one.id))).to.include('Say --yes if that is meant');
  });

  scenario('doctor, /readyz and /metrics count the instances', async ({ sidecar }) => {
    const said = await sidecar.microsaas('doctor').catch((error: RunError) => error.output);
    expect(said).to.match(/^(ok {4}|WARN {2})Instances: .*running/m);
    expect(said).to.match(/^ok {4}Firewall: /m);
    expect(said).to.match(/^ok {4}Disk: \d+ GB and \d+ inodes free/m);
    expect(said).to.match(/^(ok {4}|WARN {2})Docker's age: /m);
    const { parts } = await sidecar.ready();
    expect(parts)
      .to.have.property('instances')
      // As of the last sweep, when there may have been others.
      .that.matches(/^(none|\d+ [a-z]+(, \d+ [a-z]+)*)$/);
    for (const part of ['Clock', "The instances' mail"])
      expect(said).to.match(new RegExp(`^ok {4}${part}: `, 'm'));
    // Whatever else is on this machine counts too.
    expect(said).to.match(/^(ok {4}|WARN {2})Docker's networks: /m);
    expect(said).to.match(/^(ok {4}|WARN {2})Memory: \d+ MB free, enough for about \d+ more/m);
    expect(await sidecar.metric('microsaas_instances')).to.be.at.least(0);
    expect(await sidecar.metric('microsaas_part_up{part="odoo"}')).to.equal(1);
    expect(await sidecar.metric('microsaas_time_to_usable_seconds_count')).to.be.at.least(1);
    const polled = await sidecar.metric(
      'microsaas_loop_last_success_timestamp_seconds{loop="poll"}',
    );
    expect(Date.now() / 1000 - polled).to.be.below(60);
    expect(await sidecar.metric('microsaas_backlog_age_seconds')).to.be.at.least(0);
  });
});
