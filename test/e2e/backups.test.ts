import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { OdooRpc } from '../../stack/odoo-rpc.ts';
import { run } from '../../stack/run.ts';
import { filesInZip } from '../support/zip-reader.ts';
import { containerNamed, inContainer } from './support/docker.ts';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE } from './support/instances.ts';
import { killedAt, stepOf } from './support/killing.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';
import type { LogLine } from './support/sidecar.ts';
import { TRY_NETWORK } from './support/try-network.ts';

interface BackupRow {
  id: number;
  state: string;
  proof: string;
  snapshot: string;
  message: string | false;
}

for (const template of ['odoo', 'odoo-own-db']) {
  // Where the Postgres is plays no part in the others.
  const forShared = template === 'odoo' ? scenario : () => {};
  chapter(`backups of an instance made from ${template}`, () => {
    let id: number;
    let backup: number;

    before(async () => {
      const { shop, instances } = theEnvironment();
      const invoice = await shop.sell([
        { product: await shop.plan({ name: `Backed up, ${template}`, template }) },
      ]);
      const [row] = await instances.running(invoice, 1);
      if (!row) throw new Error('nothing runs');
      id = row.id;
    });

    const backups = ({ admin }: TestEnvironment) =>
      admin.read<BackupRow>(
        'microsaas.backup',
        [['instancia_id', '=', id]],
        ['state', 'proof', 'snapshot', 'message'],
      );
    const jobs = ({ admin }: TestEnvironment) =>
      admin.read<{ id: number; kind: string; state: string; message: string | false }>(
        'microsaas.job',
        [['instancia_id', '=', id]],
        ['kind', 'state', 'message'],
      );
    /** Waits until nobody waits for anything. @returns the last job */
    const lastJob = async (env: TestEnvironment, state = 'done') => {
      await eventually(async () => {
        const all = await jobs(env);
        const job = all.sort((one, other) => other.id - one.id)[0];
        expect(job, JSON.stringify(job)).to.include({ state });
      });
    };
    let own: Promise<{ login: string; password: string }> | undefined;
    /** The customer's own Odoo, as its administrator, whose login nothing here may change. */
    const theirs = async (env: TestEnvironment) => {
      const { instance_url: url } = await env.instances.row(id);
      const database = `ms_${env.stack.install}_${id}`;
      own ??= env.sidecar.secret(id);
      return new OdooRpc({ url: String(url), database, ...(await own) });
    };
    const change = async (env: TestEnvironment, name: string) =>
      (await theirs(env)).call('res.company', 'write', [[1], { name }]);
    /** What the customer's company is called; an Odoo that has just been started may not answer yet. */
    const expectName = async (env: TestEnvironment, name: string) => {
      const odoo = await theirs(env);
      await eventually(async () => {
        const [company] = await odoo.read('res.company', [['id', '=', 1]], ['name']);
        expect(company).to.include({ name });
      });
    };
    /** As a person does: Restore…, the box ticked, and once more Restore. */
    const restore = async ({ admin }: TestEnvironment) => {
      const action = await admin.call<{ res_model: string; context: object }>(
        'microsaas.backup',
        'action_restore',
        [[backup]],
      );
      const context = action.context;
      const wizard = await admin.call<number>(
        action.res_model,
        'create',
        [{ is_understood: true }],
        {
          context,
        },
      );
      await admin.call(action.res_model, 'action_confirm', [[wizard]]);
    };

    scenario('Back up now makes one, and proves it by restoring it', async (env) => {
      await change(env, 'As backed up');
      await env.instances.press(id, 'action_backup');
      await lastJob(env);
      const [made] = await backups(env);
      expect(made).to.include({ state: 'done', proof: 'data', message: '' });
      backup = made?.id ?? 0;
      const [row] = await env.admin.read<{ last_backup_at: string; last_proof_at: string }>(
        INSTANCE,
        [['id', '=', id]],
        ['last_backup_at', 'last_proof_at'],
      );
      expect(row?.last_backup_at).to.be.a('string');
      expect(row?.last_proof_at).to.be.a('string');
    });

    forShared('a proof that a person asks for starts Odoo with it too', async (env) => {
      await env.sidecar.microsaas('prove', String(id));
      const [proven] = await backups(env);
      expect(proven).to.include({ proof: 'boot', message: '' });
    });

    forShared(
      'microsaas export writes what any Odoo loads, beside the running instance',
      async (env) => {
        const file = join(env.stack.files.dataDir, `${id}.zip`);
        await env.sidecar.microsaas('export', String(id), '--to', file);
        const files = filesInZip(await readFile(file));
        expect([...files.keys()].slice(0, 2)).to.deep.equal(['manifest.json', 'dump.sql']);
        expect(String(files.get('dump.sql'))).to.include('As backed up');
        await rm(file);
      },
    );

    scenario(
      'a staging copy runs beside it with its data, reaches nothing, and goes without a trace',
      async (env) => {
        const { admin, instances, sidecar, stack } = env;
        const said = await sidecar.microsaas('staging', String(id));
        const copy = Number(/^Instance (\d+): http/m.exec(said)?.[1]);
        const { instance_url: url } = await instances.reaches(copy, 'running');
        const page = await (await fetch(`${url}/web/login`)).text();
        expect(page).to.include('oe_neutralize_banner');
        const name = `ms-${stack.install}-${copy}-odoo`;
        const container = await containerNamed(name);
        const closed = `ms-${stack.install}-net-c`;
        expect(Object.keys(container?.NetworkSettings.Networks ?? {})).to.deep.equal([closed]);
        const format = '{{range .IPAM.Config}}{{.Gateway}}{{end}}';
        const gateway = await run('docker', [
          'network',
          'inspect',
          '--format',
          format,
          '--',
          closed,
        ]);
        const targets = [gateway, '172.17.0.1', '1.1.1.1'].flatMap((host) =>
          [22, 53, 80, 443].map((port) => [host, port]),
        );
        const tried = await inContainer(name, ['python3', '-c', TRY_NETWORK], {
          input: JSON.stringify(targets),
        });
        for (const [target, outcome] of Object.entries(JSON.parse(tried)))
          expect(outcome, target).to.equal('closed');
        const { login, password } = await sidecar.secret(id);
        const database = `ms_${stack.install}_${copy}`;
        const theirOwn = new OdooRpc({ url: String(url), database, login, password });
        const [company] = await theirOwn.read('res.company', [['id', '=', 1]], ['name']);
        expect(company, 'the original’s login and data').to.include({ name: 'As backed up' });
        const [subscription] = await admin.read(
          'microsaas.subscription',
          [['instancia_id', '=', copy]],
          ['id'],
        );
        expect(subscription).to.equal(undefined);
        await instances.press(copy, 'action_remove');
        await instances.reaches(copy, 'removed');
        expect(await containerNamed(name)).to.equal(undefined);
        await instances.reaches(id, 'running');
      },
    );

    forShared(
      'a staging copy that is killed on its way is made by the next sidecar',
      async (env) => {
        const { admin, instances, sidecar } = env;
        for (const delay of [0, 3_000]) {
          let copy = 0;
          const makes = (line: LogLine) => line.msg === 'step' && line['step'] === 'createDatabase';
          await killedAt(sidecar, makes, delay, async () => {
            const action = await admin.call<{ res_id: number }>(
              'microsaas.backup',
              'action_staging',
              [[backup]],
            );
            copy = action.res_id;
          });
          await instances.reaches(copy, 'running');
          await instances.press(copy, 'action_remove');
          await instances.reaches(copy, 'removed');
        }
      },
    );

    forShared('Restore puts its data back, and Undo those from before', async (env) => {
      const { instances } = env;
      await change(env, 'Lost');
      await restore(env);
      await lastJob(env);
      await instances.reaches(id, 'running');
      await expectName(env, 'As backed up');
      await env.admin.call(INSTANCE, 'action_undo_restore', [[id]]);
      await lastJob(env);
      await instances.reaches(id, 'running');
      await expectName(env, 'Lost');
    });

    // Three restores, each with a backup before it, at the lowest priority: beside other tests each takes a minute and a half.
    scenario(
      'a restore that is killed is finished by the next sidecar',
      async (env) => {
        const { instances, sidecar } = env;
        for (const delay of [0, 400, 1_500]) {
          await change(env, `Lost ${delay}`);
          await killedAt(sidecar, stepOf(id, 'swapData'), delay, () => restore(env));
          await lastJob(env);
          await instances.reaches(id, 'running');
          await expectName(env, 'As backed up');
        }
      },
      15,
    );

    scenario('a stopped instance is backed up too, and stays stopped', async (env) => {
      const { instances } = env;
      const before = (await backups(env)).map((row) => row.id);
      await instances.press(id, 'stop_instance');
      await instances.reaches(id, 'stopped');
      await instances.press(id, 'action_backup');
      await lastJob(env);
      const made = (await backups(env)).filter((row) => !before.includes(row.id));
      expect(made.map(({ proof, state }) => ({ proof, state }))).to.deep.equal([
        { proof: 'data', state: 'done' },
      ]);
      await instances.reaches(id, 'stopped');
    });
  });
}
