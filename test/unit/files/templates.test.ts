import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { renderInstance } from '../../../src/files/render.ts';
import { templateVariables } from '../../../src/files/template-variables.ts';
import { loadTemplates } from '../../../src/files/templates.ts';
import { anInput, inlined, SECRETS, TEMPLATES } from './instances.ts';

describe('templates', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'microsaas-templates-'));
    await cp(TEMPLATES, folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('ships two that can be used', async () => {
    const templates = await loadTemplates(TEMPLATES);
    expect([...templates.broken.values()]).to.deep.equal([]);
    expect(templates.all.map((it) => it.code)).to.deep.equal(['odoo', 'odoo-own-db']);
    expect(templates.get('')).to.equal(templates.get('odoo'));
  });

  it('takes a new folder without any code', async () => {
    await cp(join(folder, 'odoo'), join(folder, 'odoo-18'), { recursive: true });
    const file = join(folder, 'odoo-18', 'template.yaml');
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('19', '18'));
    const template = (await loadTemplates(folder)).get('odoo-18');
    expect(template).to.include({ name: 'Odoo 18', odooVersion: '18.0', image: 'odoo:18.0' });
  });

  it('knows no other', async () => {
    const templates = await loadTemplates(folder);
    for (const code of ['nope', '../odoo', 'constructor'])
      expect(() => templates.get(code))
        .to.throw()
        .with.property('reason', 'UnknownTemplate');
  });

  for (const [file, from, to, reason, why] of [
    ['template.yaml', 'image:', 'imagee:', 'TemplateInvalid', /template.yaml.*image/s],
    ['template.yaml', 'memory_mb: 1024', 'memory_mb: lots', 'TemplateInvalid', /memory_mb/],
    ['template.yaml', 'database: shared', 'database: none', 'TemplateInvalid', /database/],
    ['odoo.conf.hbs', '{{ini workers}}', '{{workers}}', 'TemplateInvalid', /odoo.conf.hbs: line/],
    ['odoo.conf.hbs', '{{ini workers}}', '{{ini wrokers}}', 'TemplateInvalid', /"wrokers"/],
    [
      'docker-compose.yml.hbs',
      'read_only: true',
      'privileged: true',
      'TemplateBreaksPolicy',
      /read_only|privileged/,
    ],
  ] as const)
    it(`names what is wrong and goes on with the others: ${to}`, async () => {
      const path = join(folder, 'odoo', file);
      await writeFile(path, (await inlined(path)).replace(from, to));
      const templates = await loadTemplates(folder);
      expect(templates.all.map((it) => it.code)).to.deep.equal(['odoo-own-db']);
      expect(() => templates.get('odoo'))
        .to.throw(why)
        .with.property('reason', reason);
    });

  it('goes on without the templates whose partial is broken or missing', async () => {
    const path = join(folder, 'odoo-service.yml.hbs');
    await writeFile(path, '{{yaml wrokers}}\n');
    await writeFile(
      join(folder, 'odoo', 'docker-compose.yml.hbs'),
      await inlined(join(TEMPLATES, 'odoo', 'docker-compose.yml.hbs')),
    );
    const templates = await loadTemplates(folder);
    expect(templates.all.map((it) => it.code)).to.deep.equal(['odoo']);
    expect(templates.broken.get('odoo-own-db')?.message).to.include('"wrokers"');
    await rm(path);
    const { broken } = await loadTemplates(folder);
    expect(broken.get('odoo-own-db')?.message).to.include('docker-compose.yml.hbs: line 3');
  });

  it('knows the options of odoo.conf that a partial names', async () => {
    await writeFile(join(folder, 'more.conf.hbs'), 'limit_time_cpu = 90\n');
    const path = join(folder, 'odoo', 'odoo.conf.hbs');
    await writeFile(path, '[options]\n{{> odoo-options}}\n{{> more}}\nlimit_request = 9\n');
    const template = (await loadTemplates(folder)).get('odoo');
    const { conf } = renderInstance(template, anInput(), SECRETS);
    expect(conf).to.match(/^list_db = False$/m);
    expect(conf).to.match(/^limit_time_cpu = 90\nlimit_request = 9$/m);
  });

  it('documents every variable, and no other', async () => {
    const readme = await readFile(join(TEMPLATES, 'README.md'), 'utf8');
    const [, variables = ''] = readme.split(/^## Variables$|^## What is refused$/m);
    const documented = [...variables.matchAll(/^\| `([a-zA-Z]+(?:\.[a-zA-Z]+)?)` \|/gm)].map(
      ([, name]) => name,
    );
    const template = (await loadTemplates(TEMPLATES)).get('odoo');
    const { paths, ...view } = templateVariables(template, anInput(), '');
    const names = [
      ...Object.keys({ ...view, ...SECRETS }),
      ...Object.keys(paths).map((it) => `paths.${it}`),
    ];
    expect(documented).to.have.members(names);
  });
});
