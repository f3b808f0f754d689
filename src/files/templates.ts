import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { type RenderInput, renderInstance, type Template } from './render.ts';
import { compileTemplate, type Partials, type ValueHelper } from './template-language.ts';

/** The template of an instance whose plan names none. */
const DEFAULT_CODE = 'odoo';

const common = {
  name: z.string().min(1),
  odoo_version: z.string().regex(/^\d+\.\d$/, 'expected something like "19.0"'),
  image: z.string().min(1),
  memory_mb: z.int().min(256),
  cpus: z.number().positive(),
};
const TEMPLATE_YAML = z.discriminatedUnion('database', [
  z.strictObject({ ...common, database: z.literal('shared') }),
  z.strictObject({
    ...common,
    database: z.literal('own'),
    postgres_image: z.string().min(1),
    /** The numbers of the user `postgres` in that image; the container runs as this user, since root would need capabilities. */
    postgres_uid: z.int().positive(),
    postgres_gid: z.int().positive(),
  }),
]);

/** The kinds of instances there are: one folder each. */
export class Templates {
  /** Those that can be used, by code. */
  readonly all: readonly Template[];
  /** Folders that cannot be used, and why. They do not affect the others. */
  readonly broken: ReadonlyMap<string, TerminalError>;

  constructor(all: readonly Template[], broken: ReadonlyMap<string, TerminalError>) {
    this.all = all;
    this.broken = broken;
  }

  /** Whether there is a template of this code that can be used. */
  has(code: string): boolean {
    return this.all.some((it) => it.code === (code || DEFAULT_CODE));
  }

  /**
   * @param code '' means the default template.
   * @throws TerminalError UnknownTemplate, or why the template cannot be used.
   */
  get(code: string): Template {
    const wanted = code || DEFAULT_CODE;
    const template = this.all.find((it) => it.code === wanted);
    if (template) return template;
    throw (
      this.broken.get(wanted) ??
      new TerminalError('UnknownTemplate', `There is no template "${wanted}".`, { detail: wanted })
    );
  }
}

/** What a file in the templates' folder is called that templates share: its name, and the language it is for. */
const PARTIAL = /^([a-z][a-z0-9-]*)\.(yml|conf)\.hbs$/;

/** Reads every folder in `folder`, compiles it and tries it on a made-up instance. The files beside the folders are partials. */
export async function loadTemplates(folder: string): Promise<Templates> {
  const entries = await readdir(folder, { withFileTypes: true });
  const codes = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const partials = { yaml: new Map<string, string>(), ini: new Map<string, string>() };
  for (const { name: file } of entries) {
    const [, name, language] = PARTIAL.exec(file) ?? [];
    if (name !== undefined)
      partials[language === 'yml' ? 'yaml' : 'ini'].set(
        name,
        await readFile(join(folder, file), 'utf8'),
      );
  }
  const all: Template[] = [];
  const broken = new Map<string, TerminalError>();
  for (const code of codes.sort())
    try {
      all.push(await loadTemplate(folder, code, partials));
    } catch (error) {
      broken.set(code, asTerminal(code, error));
    }
  return new Templates(all, broken);
}

async function loadTemplate(
  folder: string,
  code: string,
  partials: Readonly<Record<ValueHelper, Partials>>,
): Promise<Template> {
  if (!/^[a-z][a-z0-9-]*$/.test(code)) throw new Error('expected a folder name like "odoo-19"');
  const file = (name: string) => readFile(join(folder, code, name), 'utf8');
  const compiled = async (name: string, helper: ValueHelper) => {
    const source = await file(name);
    try {
      return compileTemplate(source, helper, partials[helper]);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  };
  const about = TEMPLATE_YAML.safeParse(parse(await file('template.yaml')));
  if (!about.success) throw new Error(`template.yaml: ${z.prettifyError(about.error)}`);
  const { data } = about;
  const own = data.database === 'own' ? data : null;
  const template: Template = {
    code,
    name: data.name,
    odooVersion: data.odoo_version,
    image: data.image,
    database: data.database,
    postgresImage: own?.postgres_image ?? '',
    postgresUser: own && { uid: own.postgres_uid, gid: own.postgres_gid },
    memoryMb: data.memory_mb,
    cpus: data.cpus,
    compose: await compiled('docker-compose.yml.hbs', 'yaml'),
    conf: await compiled('odoo.conf.hbs', 'ini'),
  };
  for (const input of madeUpInputs(code))
    renderInstance(template, input, { dbPassword: 'made-up', masterPasswordHash: 'made-up' });
  return template;
}

/** With everything and with nothing: a template that fails only with workers must fail here. */
function madeUpInputs(templateCode: string): RenderInput[] {
  const bare: RenderInput = {
    install: 'madeup',
    instance: 1,
    identity: '00000000-0000-4000-8000-000000000001',
    templateCode,
    directory: '/srv/madeup/instances/1',
    sharedServer: { socketDir: '/srv/madeup/postgresql' },
    hostAddresses: [],
    checkouts: [],
    network: 'ms-madeup-net-1',
    publishAddress: '127.0.0.1',
    ports: { http: 10_001, longpolling: 20_001 },
    memoryMb: 0,
    cpus: 0,
    restartCount: 0,
  };
  const limits = { cpus: 2, memoryMb: 4096 };
  const checkouts = [
    { path: '/srv/madeup/checkouts/a', folders: [''], moduleName: '' },
    { path: '/srv/madeup/checkouts/b', folders: [], moduleName: 'b' },
  ];
  return [bare, { ...bare, ...limits, checkouts, publishAddress: '192.0.2.1' }];
}

function asTerminal(code: string, error: unknown): TerminalError {
  if (error instanceof TerminalError) return error;
  return new TerminalError(
    'TemplateInvalid',
    `The template "${code}" cannot be used: ${(error as Error).message}`,
    { detail: [code, '', (error as Error).message], cause: error },
  );
}
