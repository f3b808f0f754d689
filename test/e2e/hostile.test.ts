import { expect } from 'chai';
import { inContainer } from './support/docker.ts';
import type { TestEnvironment } from './support/environment.ts';
import { INSTANCE } from './support/instances.ts';
import { chapter, scenario } from './support/scenario.ts';

const MARK = '/tmp/executed';
const NAMES = [
  `Acme"; touch ${MARK}; $(touch ${MARK}) \`touch ${MARK}\` ../../etc {{7*7}} \${HOME}`,
  "Асме' \n  privileged: true\n# 😀 %s \\ --privileged",
  'x'.repeat(300),
];

chapter('hostile names, repositories, templates and webhooks', () => {
  scenario(
    'names of every kind are only labels; instances with similar names share nothing',
    async (env) => {
      const { instances } = env;
      const ids: number[] = [];
      for (const name of NAMES) ids.push(await make(env, { name }));
      for (const id of ids.slice(0, 2)) await instances.press(id, 'start_instance');
      for (const [index, id] of ids.slice(0, 2).entries()) {
        const row = await instances.reaches(id, 'running');
        expect(row.name).to.equal(NAMES[index]);
        const [container] = await env.containersOf(id);
        expect(container?.Name).to.equal(`/ms-${env.stack.install}-${id}-odoo`);
      }
      expect((await instances.row(ids[2] ?? 0)).name).to.equal(NAMES[2]);
      await expectNothingExecuted(env);
    },
  );

  const closed = 'http://127.0.0.1:9/addons';
  const repositories: [url: (env: TestEnvironment) => string, branch: string, reason: string][] = [
    [() => closed, '19.0', 'RepositoryUnreachable'],
    [({ git }) => git.url('private'), '19.0', 'RepositoryForbidden'],
    [({ git }) => git.url('addons'), 'no-such-branch', 'BranchMissing'],
    [({ git }) => git.url('addons'), `--upload-pack=touch ${MARK}`, 'BranchMissing'],
    [() => 'https://user:secret@example.com/a', '19.0', 'RepositoryWithPassword'],
  ];
  scenario(
    'a bad repository is an error with a reason; other instances are not affected',
    async (env) => {
      const { instances, git } = env;
      await git.commit('addons', { 'a/__manifest__.py': '{}' });
      const bad: { id: number; reason: string }[] = [];
      for (const [url, branch, reason] of repositories) {
        const repository = { url: url(env), branch };
        bad.push({ id: await make(env, { repository_ids: [[0, 0, repository]] }), reason });
      }
      const good = await make(env, {});
      for (const id of [...bad.map((it) => it.id), good])
        await instances.press(id, 'start_instance');
      for (const { id, reason } of bad) {
        const row = await instances.reaches(id, 'error');
        expect(row.reason, String(row.phase_message)).to.equal(reason);
        expect(row.log).to.match(/tried again by itself|Press Start to try again/);
        expect(await env.containersOf(id)).to.deep.equal([]);
      }
      await instances.reaches(good, 'running');
      await expectNothingExecuted(env);
    },
  );

  const noAddresses = [
    `ext::sh -c touch% ${MARK}`,
    'file:///etc',
    `--upload-pack=touch ${MARK}`,
    'not a url',
  ];
  scenario('what is not the address of a repository is not saved', async (env) => {
    for (const url of noAddresses) {
      const refusal = await make(env, { repository_ids: [[0, 0, { url }]] }).then(
        () => 'saved',
        (error: unknown) => String(error),
      );
      expect(refusal, url).to.include('is not the address of a repository');
    }
  });

  scenario('Start retries what a person has fixed', async (env) => {
    const { instances, admin, git } = env;
    const repository = { url: git.url('addons'), branch: 'later' };
    const id = await make(env, { repository_ids: [[0, 0, repository]] });
    await instances.press(id, 'start_instance');
    expect(await instances.reaches(id, 'error')).to.include({ reason: 'BranchMissing' });
    git.git('addons', 'branch', 'later');
    await instances.press(id, 'start_instance');
    await instances.reaches(id, 'running');
    const found = await admin.read(
      'odoo.docker.repository',
      [['instance_id', '=', id]],
      ['commit'],
    );
    expect(found[0]?.['commit']).to.match(/^[0-9a-f]{40}$/);
  });

  scenario('a template that has no folder is refused before anything is written', async (env) => {
    const { instances, admin } = env;
    const values = { name: 'Nothing', code: 'no-such', odoo_version: '19.0' };
    const template_id = await admin.create('docker.compose.template', values);
    const id = await make(env, { template_id });
    await instances.press(id, 'start_instance');
    expect(await instances.reaches(id, 'error')).to.include({ reason: 'UnknownTemplate' });
    expect(await env.onHost('find', env.instancesDir, '-name', String(id))).to.equal('');
  });

  scenario('webhooks that are forged, stale, malformed or huge have no effect', async (env) => {
    const { sidecar } = env;
    const body = { model: INSTANCE, ids: [1] };
    const secret = `whsec_${Buffer.from('x'.repeat(32)).toString('base64')}`;
    for (let i = 0; i < 5; i++) expect(await sidecar.webhook(body, { secret })).to.equal(401);
    expect(await sidecar.webhook(body, { age: 3600 })).to.equal(401);
    expect(await sidecar.webhook(body, { age: -3600 })).to.equal(401);
    for (const text of ['{', '[]', '{"model":"res.users","ids":[1]}', '{"model":"account.move"}'])
      expect(await sidecar.webhook(null, { text }), text).to.equal(400);
    const huge = 'x'.repeat(10 * 1024 * 1024);
    expect(await sidecar.webhook(null, { text: huge })).to.equal(413);
    expect((await fetch(`${sidecar.url}/webhooks/odoo`)).status).to.equal(405);
    const refused = (await sidecar.log()).filter((it) => /webhook refused/.test(it.msg ?? ''));
    const reasons = refused.map((it) => it['reason']);
    expect(reasons.filter((it) => it === 'forged or stale')).to.have.lengthOf(1);
    expect(reasons.filter((it) => it === 'malformed')).to.have.lengthOf(1);
  });
});

/** Creates a draft without an invoice, as a MicroSaaS manager may. */
async function make({ admin }: TestEnvironment, values: Record<string, unknown>): Promise<number> {
  return admin.create(INSTANCE, { name: 'Test', ...values });
}

async function expectNothingExecuted(env: TestEnvironment): Promise<void> {
  const running = (await env.containers()).filter((it) => it.State.Running);
  for (const name of [env.sidecar.name, ...running.map((it) => it.Name.slice(1))])
    expect(await inContainer(name, ['find', '/tmp', '-name', 'executed*'])).to.equal('');
}
