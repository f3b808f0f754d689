import { access, constants, statfs } from 'node:fs/promises';
import type { Config } from './config.ts';
import { numbersOnHost } from './controller/manager-check.ts';
import { DISTRUSTED, judgeManager } from './instance/manager-history.ts';
import { redact } from './log.ts';
import { assemble } from './sidecar.ts';

interface Check {
  readonly name: string;
  /** Resolves with what was found. */
  readonly probe: () => Promise<string>;
  readonly mend: string;
}

/** Below this share or size of free disk no new instance should be sold. */
const MIN_FREE_SHARE = 0.1;
const MIN_FREE_BYTES = 5 * 1024 ** 3;

/** Checks everything the sidecar needs and prints a line each. @returns whether all is well. */
export async function doctor(config: Config): Promise<boolean> {
  let isWell = true;
  for (const check of await checks(config)) {
    try {
      process.stdout.write(`ok    ${check.name}: ${await check.probe()}\n`);
    } catch (error) {
      isWell = false;
      const found = redact((error as Error).message)
        .trim()
        .split('\n')
        .at(-1);
      process.stdout.write(`FAIL  ${check.name}: ${found}\n      mend: ${check.mend}\n`);
    }
  }
  return isWell;
}

async function checks(config: Config): Promise<Check[]> {
  const sidecar = await assemble(config);
  const { api, databases, docker, engine, images, install, manager, managerMemory, templates } =
    sidecar;
  return [
    {
      name: 'Docker',
      probe: async () => {
        await api.ping();
        return `engine ${await docker(['docker', 'version', '--format', '{{.Server.Version}}'])}`;
      },
      mend: `start Docker, and let the sidecar reach ${config.docker.socket}`,
    },
    {
      name: 'Compose',
      probe: async () => {
        const version = await docker(['docker', 'compose', 'version', '--short']);
        if (!/^v?([2-9]|\d\d)\./.test(version)) throw new Error(`found ${version}`);
        return version;
      },
      mend: 'install the Compose plugin, version 2 or later',
    },
    {
      name: 'Odoo',
      probe: async () => {
        const numbers = await numbersOnHost({ databases, engine });
        const facts = await manager.hello(install);
        if (facts.installId !== install)
          throw new Error(`it belongs to install ${facts.installId}, this is ${install}`);
        const highest = Math.max(0, ...numbers);
        const distrust = judgeManager(await managerMemory.read(), facts, highest);
        if (distrust) throw new Error(DISTRUSTED[distrust]);
        return `addon ${facts.addonVersion} at ${config.manager.url}`;
      },
      mend: 'check manager.url, manager.database and the API key: Settings > MicroSaaS > Connect a sidecar makes a new one',
    },
    {
      name: "The bot's rights",
      probe: async () => {
        await Promise.all([manager.unclaimed(1), manager.due(1), manager.states()]);
        return 'paid invoices and instances can be read';
      },
      mend: 'give the bot user the group "MicroSaaS sidecar" in Odoo',
    },
    {
      name: 'Postgres',
      probe: async () => {
        await databases.ping();
        return config.postgres.socketDir;
      },
      mend: 'start the Postgres of the instances, and check postgres.socketDir and its password',
    },
    {
      name: 'Templates',
      probe: async () => {
        for (const error of templates.broken.values()) throw error;
        for (const template of templates.all) await images.id(template.image);
        return templates.all.map((template) => template.code).join(', ');
      },
      mend: 'correct the template named above, or pull its image',
    },
    {
      name: 'Disk',
      probe: async () => {
        await access(config.dataDir, constants.W_OK);
        const { bavail, blocks, bsize } = await statfs(config.dataDir);
        const gigabytes = ((bavail * bsize) / 1024 ** 3).toFixed(0);
        if (bavail / blocks < MIN_FREE_SHARE || bavail * bsize < MIN_FREE_BYTES)
          throw new Error(`only ${gigabytes} GB free in ${config.dataDir}`);
        return `${gigabytes} GB free in ${config.dataDir}`;
      },
      mend: 'free at least a tenth of the disk, and 5 GB, where dataDir lies',
    },
  ];
}
