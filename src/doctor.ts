import { access, constants } from 'node:fs/promises';
import { type Check, Warning } from './check.ts';
import type { Config } from './config.ts';
import { instanceIdsOnHost } from './controller/manager-check.ts';
import { doorChecks } from './door-checks.ts';
import { TerminalError } from './errors.ts';
import { measureFreeSpace } from './host/disk.ts';
import { isProven } from './instance/backup-retention.ts';
import { checkManagerHistory, DISTRUST_MESSAGES } from './instance/manager-history.ts';
import { shownState } from './instance/shown-state.ts';
import { countedByState } from './instance-table.ts';
import { redact } from './log.ts';
import { operatorChecks } from './operator-checks.ts';
import { postgresChecks } from './postgres-checks.ts';
import { printable } from './printable.ts';
import { swarmChecks } from './swarm-checks.ts';
import { assemble, type Sidecar } from './wiring.ts';

/** Older ones are insecure: Docker gets no more fixes, runc has container escapes (CVE-2024-21626, CVE-2025-31133). */
const OLDEST_DOCKER = [25, 0, 6];
const OLDEST_RUNC = [1, 2, 8];

/** With a smaller share or size of free disk no new instance should be sold. */
const MIN_FREE_SHARE = 0.1;
const MIN_FREE_BYTES = 5 * 1024 ** 3;

/**
 * Checks everything the sidecar needs and prints a line each.
 * @param wire makes the adapters; another one only in tests
 * @returns whether there is no failure; warnings do not count
 */
export async function doctor(config: Config, wire: typeof assemble = assemble): Promise<boolean> {
  let isHealthy = true;
  for (const check of checks(config, await wire(config))) {
    try {
      process.stdout.write(`ok    ${check.name}: ${await check.probe()}\n`);
    } catch (error) {
      const isWarning = error instanceof Warning;
      isHealthy &&= isWarning;
      const found = redact((error as Error).message)
        .trim()
        .split('\n')
        .at(-1);
      const verdict = isWarning ? 'WARN' : 'FAIL';
      process.stdout.write(
        `${verdict}  ${check.name}: ${printable(found ?? '')}\n      fix: ${check.fix}\n`,
      );
    }
  }
  return isHealthy;
}

function checks(config: Config, sidecar: Sidecar): Check[] {
  const { api, databases, disk, docker, engine, firewall, images, install, manager, templates } =
    sidecar;
  const { managerMemory } = sidecar;
  return [
    {
      name: 'Docker',
      probe: async () => {
        await api.ping();
        return `engine ${await docker(['docker', 'version', '--format', '{{.Server.Version}}'])}`;
      },
      fix: `start Docker, and let the sidecar reach ${config.docker.socket}`,
    },
    {
      name: "Docker's age",
      probe: async () => {
        const parts =
          '{{.Server.Version}}{{range .Server.Components}} {{.Name}} {{.Version}}{{end}}';
        const said = await docker(['docker', 'version', '--format', parts]);
        const [engine = ''] = said.split(' ');
        const runc = / runc (\S+)/.exec(said)?.[1] ?? '';
        const old = [
          ...(isOlder(engine, OLDEST_DOCKER) ? [`Docker ${engine}`] : []),
          ...(isOlder(runc, OLDEST_RUNC) ? [`runc ${runc}`] : []),
        ];
        if (old.length > 0)
          throw new Warning(
            `${old.join(' and ')}: known container escapes, unless the distribution has fixed them in its own packages`,
          );
        return `engine ${engine}, runc ${runc || 'unknown'}`;
      },
      fix: `update to Docker ${OLDEST_DOCKER.join('.')} and runc ${OLDEST_RUNC.join('.')} or later, or check the distribution's security notices`,
    },
    {
      name: 'Compose',
      probe: async () => {
        const version = await docker(['docker', 'compose', 'version', '--short']);
        if (!/^v?([2-9]|\d\d)\./.test(version)) throw new Error(`found ${version}`);
        return version;
      },
      fix: 'install the Compose plugin, version 2 or later',
    },
    {
      name: 'Odoo',
      probe: async () => {
        const numbers = await instanceIdsOnHost({ databases, engine });
        const facts = await manager.handshake(install);
        if (facts.installId !== install)
          throw new Error(`it belongs to install ${facts.installId}, this is ${install}`);
        const highest = Math.max(0, ...numbers);
        const distrust = checkManagerHistory(await managerMemory.read(), facts, highest);
        if (distrust) throw new Error(DISTRUST_MESSAGES[distrust]);
        return `addon ${facts.addonVersion} at ${config.manager.url}`;
      },
      fix: 'check manager.url, manager.database and the API key: Settings > MicroSaaS > Connect a sidecar makes a new one',
    },
    {
      name: "The bot's rights",
      probe: async () => {
        await Promise.all([manager.unclaimed(1), manager.due(1), manager.states()]);
        return 'paid invoices and instances can be read';
      },
      fix: 'give the bot user the group "MicroSaaS sidecar" in Odoo',
    },
    {
      name: 'Mail',
      probe: async () => {
        const { hasCompanyEmail, hasMailServer } = await manager.handshake(install);
        if (!hasMailServer)
          throw new Warning(
            'Odoo has no outgoing mail server: nobody gets an invitation or a notice',
          );
        if (!hasCompanyEmail)
          throw new Warning('the company has no e-mail address: nobody can answer its mails');
        return "Odoo's mails leave";
      },
      fix: "in Odoo, Settings > General Settings > Outgoing Email Servers, and the company's e-mail under Settings > Companies",
    },
    ...postgresChecks(config, sidecar),
    {
      name: 'Templates',
      probe: async () => {
        for (const error of templates.broken.values()) throw error;
        for (const template of templates.all) await images.id(template.image);
        return templates.all.map((template) => template.code).join(', ');
      },
      fix: 'correct the template named above, or pull its image',
    },
    {
      name: 'Instances',
      probe: () => checkInstances(sidecar),
      fix: 'microsaas ps --problems shows which they are; microsaas status <number> why',
    },
    {
      name: 'Firewall',
      probe: async () => {
        if (firewall === null) return 'switched off (egress.enforce)';
        await firewall.check();
        if (sidecar.swarm)
          throw new Warning("the rules are this host's own: each node needs its own");
        return 'instances reach the internet only';
      },
      fix: sidecar.swarm
        ? 'load the rules of docs/several-hosts.md on each node, before Docker starts; what is there is not seen from here'
        : `restart the sidecar, whose log says why there are no rules; the image ${config.egress.image} must exist, and the kernel must have nf_tables`,
    },
    {
      name: 'Disk',
      probe: async () => {
        await access(config.dataDir, constants.W_OK);
        const shortage = await disk.shortage();
        if (shortage) throw new Error(`${config.dataDir}: ${shortage.message}`);
        const { bytes, inodes, share } = await measureFreeSpace(config.dataDir);
        const gigabytes = (bytes / 1024 ** 3).toFixed(0);
        const found = `${gigabytes} GB and ${inodes} inodes free in ${config.dataDir}`;
        if (share < MIN_FREE_SHARE || bytes < MIN_FREE_BYTES) throw new Error(`only ${found}`);
        return found;
      },
      fix: 'free at least a tenth of the disk of dataDir, and 5 GB',
    },
    {
      name: 'Backups',
      probe: () => checkBackups(config, sidecar),
      fix: `let the sidecar reach ${config.backups.repository} and the image ${config.backups.image}; docs/backups.md says more`,
    },
    {
      name: "The manager's backups",
      probe: () => checkManagerBackups(sidecar),
      fix: 'microsaas backup manager says why there is none. Its Odoo has to be a container of this host, as deploy/docker-compose.yml has it, or its database and files are backed up by other means',
    },
    ...swarmChecks(sidecar),
    ...operatorChecks(config, sidecar),
    ...doorChecks(config, sidecar),
  ];
}

/** How many instances in error are named. */
const MAX_NAMED = 3;

async function checkInstances({ manager }: Sidecar): Promise<string> {
  const all = [...(await manager.states())];
  const counted = countedByState(all.map(([, known]) => shownState(known)));
  const failing = all.filter(([, { state }]) => state === 'error');
  if (failing.length === 0) return counted;
  const named = failing.slice(0, MAX_NAMED).map(([id, { reason }]) => `${id} (${reason})`);
  const rest = failing.length > MAX_NAMED ? ` and ${failing.length - MAX_NAMED} more` : '';
  throw new Warning(`${counted}: ${named.join(', ')}${rest}`);
}

/** How old a proof may be, in seconds: a night's work, and what it may take. */
const PROOF_AGE_S = 26 * 60 * 60;

async function checkBackups(config: Config, { backups, manager }: Sidecar): Promise<string> {
  const { repository, schedule } = config.backups;
  await backups.store.check();
  if (!backups.isNightly)
    throw new Warning('switched off (backups.enabled): only the last one is made, at the end');
  const states = [...(await manager.states()).values()];
  const withData = states.filter(({ state }) => state === 'running' || state === 'stopped');
  const since = Date.now() / 1000 - PROOF_AGE_S;
  const proven = withData.filter(({ lastProofAt }) => lastProofAt > since).length;
  const found = `${proven} of ${withData.length} proven within 26 hours, in ${repository}`;
  const hasBegun = withData.some(({ lastBackupAt }) => lastBackupAt > 0);
  if (hasBegun && proven < withData.length) throw new Warning(found);
  return hasBegun ? found : `begin at ${schedule}, in ${repository}`;
}

async function checkManagerBackups({ backups }: Sidecar): Promise<string> {
  if (!backups.isNightly) throw new Warning('switched off (backups.enabled)');
  const { signal } = new AbortController();
  const replaced = await backups.claim.replaced(signal);
  if (replaced) throw replaced;
  await backups.ofManager.check(signal).catch((error) => {
    // The other backups are made all the same.
    throw error instanceof TerminalError ? new Warning(error.message) : error;
  });
  const known = await backups.ofManager.list(signal);
  const newest = known.filter(isProven).at(-1);
  const found = newest ? `proven: that of ${newest.date.toISOString()}` : 'none is proven';
  const since = Date.now() - PROOF_AGE_S * 1000;
  if (known.length > 0 && !(newest && newest.date.getTime() > since)) throw new Warning(found);
  return known.length > 0 ? found : 'begin tonight';
}

/** Compares `20.10.24+dfsg1` with [25, 0, 6]. False for text that is not a version. */
export function isOlder(version: string, oldest: readonly number[]): boolean {
  const [, ...parts] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  const first = parts.findIndex((part, index) => Number(part) !== oldest[index]);
  return first >= 0 && Number(parts[first]) < (oldest[first] ?? 0);
}
