import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RenderInput, RenderSecrets, Template } from '../../../src/files/render.ts';
import { compileTemplate } from '../../../src/files/template-language.ts';
import { loadTemplates } from '../../../src/files/templates.ts';

export const TEMPLATES = new URL('../../../templates/', import.meta.url).pathname;

export const SECRETS: RenderSecrets = {
  dbPassword: 'not-a-real-password',
  masterPasswordHash: '$pbkdf2-sha512$600000$c2FsdA$c3Vt',
};

export function anInput(changes: Partial<RenderInput> = {}): RenderInput {
  return {
    install: 'k3x9ab',
    instance: 7,
    identity: '5d0f4ec6-9b0f-4b0e-9a43-3f6a5d0c1b07',
    templateCode: 'odoo',
    directory: '/srv/microsaas/instances/7',
    sharedServer: { socketDir: '/srv/microsaas/postgresql' },
    hostAddresses: [],
    checkouts: [{ path: '/srv/microsaas/checkouts/abc', folders: [''], moduleName: '' }],
    network: 'ms-k3x9ab-net-1',
    publishAddress: '127.0.0.1',
    ports: { http: 8100, longpolling: 8200 },
    memoryMb: 0,
    cpus: 0,
    restartCount: 0,
    ...changes,
  };
}

/** A template file with the text of its partials in their places. */
export async function inlined(path: string): Promise<string> {
  const kind = path.endsWith('.conf.hbs') ? 'conf' : 'yml';
  const text = await readFile(path, 'utf8');
  return text.replace(/^\{\{> (\S+)\}\}\n/gm, (_, name) =>
    readFileSync(`${TEMPLATES}${name}.${kind}.hbs`, 'utf8'),
  );
}

/** A shipped template with its text changed, as an operator might change it. */
export async function aTemplate(
  code: string,
  change: { compose?: (text: string) => string; conf?: (text: string) => string } = {},
): Promise<Template> {
  const template = (await loadTemplates(TEMPLATES)).get(code);
  const text = (file: string) => inlined(`${TEMPLATES}${code}/${file}`);
  const same = (it: string) => it;
  return {
    ...template,
    compose: compileTemplate(
      (change.compose ?? same)(await text('docker-compose.yml.hbs')),
      'yaml',
    ),
    conf: compileTemplate((change.conf ?? same)(await text('odoo.conf.hbs')), 'ini'),
  };
}

/** Replaces text that must be there: a case that changes nothing would prove nothing. */
export function replacing(from: string, to: string): (text: string) => string {
  return (text) => {
    if (!text.includes(from)) throw new Error(`the template does not contain ${from}`);
    return text.replace(from, () => to);
  };
}
