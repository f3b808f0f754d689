import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { renderInstance } from '../../../src/files/render.ts';
import { loadTemplates, type Templates } from '../../../src/files/templates.ts';
import { TEMPLATES } from './instances.ts';

const GOLDEN = new URL('../../golden/', import.meta.url);

/** Each folder is a case. After a wanted change: UPDATE_GOLDEN=1, then read the difference. */
describe('golden files', () => {
  let templates: Templates;
  before(async () => {
    templates = await loadTemplates(TEMPLATES);
  });

  for (const name of readdirSync(GOLDEN))
    it(name.replaceAll('-', ' '), () => {
      const file = (it: string) => new URL(`${name}/${it}`, GOLDEN);
      const { template, input, secrets } = JSON.parse(readFileSync(file('input.json'), 'utf8'));
      const made = renderInstance(templates.get(template), input, secrets);
      if (process.env['UPDATE_GOLDEN']) {
        writeFileSync(file('docker-compose.yml'), made.compose);
        writeFileSync(file('odoo.conf'), made.conf);
      }
      expect(made.compose).to.equal(readFileSync(file('docker-compose.yml'), 'utf8'));
      expect(made.conf).to.equal(readFileSync(file('odoo.conf'), 'utf8'));
    });
});
