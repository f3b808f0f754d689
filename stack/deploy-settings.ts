import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { checkConfig } from '../src/config.ts';
import type { DoorSettings } from './door.ts';
import { repository } from './paths.ts';
import { sidecarConfig } from './stack-files.ts';

/** Variables of docker-compose.yml that the stack fills in itself. */
const FILLED_IN = new Set([
  ...['INSTALL', 'DATA_DIR', 'ADDONS_DIR', 'MANAGER_PORT', 'MANAGER_GATEWAY'],
  ...['ODOO_IMAGE', 'POSTGRES_IMAGE', 'SIDECAR_IMAGE'],
]);

const language = z
  .string()
  .regex(/^[a-z]{2,3}(_[A-Z0-9]{2,3})?(@[a-z]+)?$/, 'a code such as es_ES');

const schema = z.strictObject({
  domain: z.string().min(1),
  email: z.email(),
  manager: z.string().min(1).default('manager'),
  languages: z.array(language).default([]),
  shop: z.boolean().default(true),
  sidecar: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  environment: z
    .record(z.string(), z.union([z.string(), z.number()]).transform(String))
    .default({}),
});

/** What deploy.yaml says, all defaults filled in. */
export type DeploySettings = Omit<z.infer<typeof schema>, 'sidecar'> & {
  /** The sidecar's settings of the door. */
  readonly door: DoorSettings;
  /** Its others, by section. */
  readonly sidecar: Record<string, object>;
};

/**
 * Reads `deploy.yaml`, which may hold passwords: one that others may read is closed to them.
 * @throws Error naming the key, what was expected and what was found
 */
export async function readDeploySettings(folder: string): Promise<DeploySettings> {
  const file = join(folder, 'deploy.yaml');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const example = join(repository, 'deploy', 'deploy.example.yaml');
    throw new Error(`${file} can't be read (${error.code}). Copy ${example} there and fill it in.`);
  });
  if (((await stat(file)).mode & 0o077) !== 0) await chmod(file, 0o600);
  const result = schema.safeParse(readYaml(file, text));
  if (!result.success) {
    const lines = result.error.issues.map(
      ({ path, message }) => `  ${path.join('.') || '(top)'}: ${message}`,
    );
    throw new Error(`${file} is wrong:\n${lines.join('\n')}`);
  }
  const settings = withDoor(result.data);
  const { door, environment, sidecar } = settings;
  await checkEnvironment(file, environment);
  const config = sidecarConfig({ ...PLACES, more: { ...sidecar, door } });
  checkConfig(`${file} (settings of the sidecar)`, config);
  return settings;
}

/** What the stack will know once it runs; here only so that the rest can be checked before anything is begun. */
const PLACES = {
  ...{ folder: '/etc/microsaas', dataDir: '/var/lib/microsaas', network: 'manager', port: 8471 },
  ...{ managerUrl: 'http://127.0.0.1:8069', database: 'manager' },
};

/** A key of which everything is commented out is null: as if it was not there. */
function readYaml(file: string, text: string): unknown {
  try {
    return parse(text, (_key, value) => (value === null ? undefined : value));
  } catch (cause) {
    if (cause instanceof YAMLParseError) throw new Error(`${file}: ${cause.message}`, { cause });
    throw cause;
  }
}

function withDoor(settings: z.infer<typeof schema>): DeploySettings {
  const { domain, email, manager } = settings;
  const { door, ...sidecar } = settings.sidecar;
  const acme = { email, ...(door?.['acme'] as object | undefined) };
  return { ...settings, sidecar, door: { domain, manager, ...door, acme } };
}

/** @throws Error naming the variables that docker-compose.yml does not have, and those that it has */
async function checkEnvironment(
  file: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const compose = await readFile(join(repository, 'deploy', 'docker-compose.yml'), 'utf8');
  const all = new Set([...compose.matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name));
  const known = [...all].filter((name) => !FILLED_IN.has(name));
  const unknown = Object.keys(environment).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(
      `${file} is wrong:\n  environment: there is no ${unknown.join(', ')}; there are ${known.join(', ')}`,
    );
}
