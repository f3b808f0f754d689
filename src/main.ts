#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { backupTable, EXPORT_STEPS, findBackup, makeStaging, runJob } from './backup-commands.ts';
import { loadConfig } from './config.ts';
import { requireYes } from './confirmation.ts';
import { dockerEnvironment } from './docker/docker-cli.ts';
import { doctor } from './doctor.ts';
import {
  CommandError,
  ConfigError,
  InterruptedError,
  ManagerError,
  RetryableError,
  TerminalError,
  UsageError,
} from './errors.ts';
import { findInstance } from './find-instance.ts';
import { execInTerminal } from './host/exec.ts';
import { takeOver } from './host-replaced.ts';
import { lockExports } from './install-id.ts';
import type { DesiredInstance } from './instance/types.ts';
import { instanceStatus } from './instance-status.ts';
import type { Backup } from './interfaces.ts';
import { allInstances, listInstances } from './list-instances.ts';
import { makeLogger, redact } from './log.ts';
import {
  backUpManagerNow,
  listManagerBackups,
  MANAGER,
  proveManager,
  restoreTheManager,
} from './manager-commands.ts';
import { printable, printableBytes } from './printable.ts';
import { reconcileHost } from './reconcile-host.ts';
import { restore, restoreAs, restoreForeign } from './restore.ts';
import { restoreAll } from './restore-all.ts';
import { run } from './run.ts';
import { assemble, type Sidecar } from './wiring.ts';

const INSTANCE = 'its number, its name, or a part of the name that no other has';

const INSTANCE_OR_MANAGER = `${INSTANCE}; or ${MANAGER}: the manager itself`;

const BACKUP =
  'how its id begins (microsaas backups lists them), or latest: the newest that was proven';

const program = new Command('microsaas')
  .description('The sidecar: turns paid invoices in Odoo into running Odoo instances.')
  .option(
    '-c, --config <file>',
    'the configuration (default: $MICROSAAS_CONFIG or ./microsaas.yaml)',
  )
  .showHelpAfterError()
  // It exits with 1 by itself, which is for what failed and not for wrong use.
  .exitOverride();

const config = () => loadConfig(program.opts<{ config?: string }>().config);

program
  .command('run')
  .description('serve until SIGTERM or SIGINT')
  .action(async () => {
    const settings = config();
    await run(settings, makeLogger(settings.log), onInterrupt());
  });

program
  .command('ps')
  .alias('list')
  .description('list the instances, those that need you first')
  .option('-a, --all', 'removed ones too')
  .option(
    '--problems',
    'only those that need you: in error, under way for a quarter of an hour, or other than Odoo says',
  )
  .action(async (options: { all?: boolean; problems?: boolean }) => {
    const warn = (text: string) => process.stderr.write(`microsaas: ${text}\n`);
    process.stdout.write(await listInstances(await assemble(config()), options, warn));
  });

program
  .command('status')
  .argument('<instance>', INSTANCE)
  .description(
    'show all there is to know of an instance: wanted, seen, why, its last steps, backups, names',
  )
  .action(async (instance: string) => {
    const sidecar = await assemble(config());
    const desired = await resolveInstance(instance, sidecar);
    process.stdout.write(await instanceStatus(desired, sidecar));
  });

program
  .command('logs')
  .argument('<instance>', INSTANCE)
  .description("show what an instance's Odoo writes")
  .option('-f, --follow', 'go on showing new lines')
  .option('-n, --tail <lines>', 'how many lines to begin with', wholeNumber, 200)
  .action(async (instance: string, { follow, tail }: { follow?: boolean; tail: number }) => {
    const settings = config();
    const sidecar = await assemble(settings);
    // A number needs no call to Odoo, which may be down when an operator reads a log.
    const id = /^\d+$/.test(instance)
      ? Number(instance)
      : (await resolveInstance(instance, sidecar)).id;
    if (id === 0 || !(await sidecar.engine.list()).has(id))
      throw new UsageError(
        `instance ${id} has no container here; microsaas ps lists all instances`,
      );
    const { command, socket } = sidecar.logs(id, { tail, follow: follow === true });
    await execInTerminal(
      command,
      dockerEnvironment(socket),
      // Tenants write it: it must not control the operator's terminal.
      printableBytes,
    );
  });

program
  .command('secret')
  .argument('<instance>', INSTANCE)
  .description("print the login and first password of an instance's administrator")
  .option('--json', 'as JSON')
  .action(async (instance: string, options: { json?: boolean }) => {
    const sidecar = await assemble(config());
    const { databases, dirs, engine } = sidecar;
    const desired = await resolveInstance(instance, sidecar);
    if (!desired.wasReady)
      throw new UsageError(
        `instance ${desired.id}: expected one that has run, found one that has not`,
      );
    const login = await databases.adminLogin(desired);
    // In a staging copy people log in as in its original.
    const { adminPassword: password } = await dirs.secrets(desired.copyOf?.id ?? desired.id);
    const url = engine.url(desired);
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ url, login, password })}\n`
        : `URL       ${url}\nlogin     ${printable(login)}\npassword  ${password}   (unless the customer has changed it)\n`,
    );
  });

program
  .command('backups')
  .argument('<instance>', INSTANCE_OR_MANAGER)
  .description("list an instance's backups, as its repository has them")
  .action(async (instance: string) => {
    const sidecar = await assemble(config());
    if (instance === MANAGER) {
      process.stdout.write(await listManagerBackups(sidecar));
      return;
    }
    const desired = await resolveInstance(instance, sidecar);
    process.stdout.write(backupTable(await listBackups(desired, sidecar)));
  });

program
  .command('backup')
  .argument('<instance>', INSTANCE_OR_MANAGER)
  .description('back up an instance now, and prove the backup by restoring it elsewhere')
  .action(async (instance: string) => {
    const settings = config();
    const sidecar = await assemble(settings);
    if (instance === MANAGER) {
      const log = makeLogger(settings.log);
      process.stdout.write(await backUpManagerNow(sidecar, log, onInterrupt()));
      return;
    }
    const desired = await resolveInstance(instance, sidecar);
    await runJob(sidecar, desired, 'backup', '', printLine, onInterrupt());
    process.stdout.write(backupTable((await listBackups(desired, sidecar)).slice(-1)));
  });

program
  .command('prove')
  .argument('<instance>', INSTANCE_OR_MANAGER)
  .argument('[backup]', `${BACKUP}; the newest of all if none is named`)
  .description(
    'prove a backup: restore it elsewhere, compare rows and files, and start Odoo with them',
  )
  .action(async (instance: string, backup: string | undefined) => {
    const sidecar = await assemble(config());
    if (instance === MANAGER) {
      await proveManager(sidecar, backup ?? 'latest', onInterrupt());
      return printLine('Proven.');
    }
    const desired = await resolveInstance(instance, sidecar);
    const known = await listBackups(desired, sidecar);
    const newest = backup === undefined ? known.at(-1) : undefined;
    const { snapshot } = newest ?? findBackup(backup ?? 'latest', known);
    await runJob(sidecar, desired, 'prove', snapshot, printLine, onInterrupt());
    printLine('Proven.');
  });

program
  .command('staging')
  .argument('<instance>', INSTANCE)
  .argument('[backup]', `${BACKUP} (the default)`, 'latest')
  .description(
    'make a staging copy of a proven backup: an instance of its own that sends nothing, reaches nothing and is removed after 7 days',
  )
  .action(async (instance: string, backup: string) => {
    const sidecar = await assemble(config());
    const desired = await resolveInstance(instance, sidecar);
    const { snapshot } = findBackup(backup, await listBackups(desired, sidecar));
    const copy = await makeStaging(sidecar, desired, snapshot, printLine, onInterrupt());
    printLine(`Instance ${copy.id}: ${sidecar.engine.url(copy)}`);
  });

program
  .command('export')
  .argument('<instance>', INSTANCE)
  .argument('[backup]', `${BACKUP} (the default)`, 'latest')
  .description(
    "write a backup as Odoo's own dump, which odoo db load and the database manager take; the instance is not touched",
  )
  .requiredOption('--to <file>', 'the zip to write, where there is no file yet')
  .option('--force', 'replace a file that is there')
  .action(async (instance: string, backup: string, options: { to: string; force?: boolean }) => {
    const sidecar = await assemble(config());
    const desired = await resolveInstance(instance, sidecar);
    const found = findBackup(backup, await listBackups(desired, sidecar));
    const stop = onInterrupt();
    const release = await lockExports(sidecar.install);
    const target = { file: options.to, isForced: options.force === true };
    await sidecar.backups.exporter.write(
      desired,
      found,
      target,
      (step) => printLine(EXPORT_STEPS[step]),
      stop,
    );
    release();
    printLine(`Written: the data of ${found.date.toISOString()}.`);
  });

program
  .command('restore')
  .argument('[what]', `an instance: ${INSTANCE_OR_MANAGER}; or an archive of an earlier version`)
  .argument('[backup]', BACKUP)
  .description(
    "put a backup in the place of an instance's data; those of now are kept for 7 days, and Undo in Odoo brings them back. Where nothing of it is, on another host or after its data were removed, make it from the backup; it is stopped then, where they were removed",
  )
  .option(
    '--as <instance>',
    `into another instance, one that has never been started, and not its own: ${INSTANCE}`,
  )
  .option(
    '--from <folder>',
    "the repository of an instance of another install, copied into this one's data: <instance> begins with its newest proven backup, or with [backup]",
  )
  .option('--escrow <file>', "with --from: the other install's escrow file")
  .option('--all', 'each instance of which nothing is on this host, from its newest proven backup')
  .option('--yes', 'for a backup: all that was done since leaves the instance, and you know that')
  .action(
    async (
      what: string | undefined,
      backup: string | undefined,
      options: { all?: boolean; as?: string; escrow?: string; from?: string; yes?: boolean },
    ) => {
      if (options.all === true) return restoreEach(what, options.yes === true);
      if (what === undefined)
        throw new UsageError('restore: expected an instance, or --all; found neither');
      if (options.from !== undefined || options.escrow !== undefined)
        return restoreMoved(what, backup ?? 'latest', options.from, options.escrow);
      if (what === MANAGER) {
        const sidecar = await assemble(config());
        const [wanted, isConfirmed] = [backup ?? 'latest', options.yes === true];
        return restoreTheManager(sidecar, wanted, isConfirmed, printLine, onInterrupt());
      }
      if (backup !== undefined)
        return restoreBackup(what, backup, options.yes === true, options.as);
      const stop = onInterrupt();
      const as =
        options.as === undefined
          ? null
          : (await resolveInstance(options.as, await assemble(config()))).id;
      const id = await restore(config(), what, as, stop);
      printLine(restoredAs(id));
    },
  );

program
  .command('update')
  .argument('<instance>', INSTANCE)
  .description(
    'give an instance the newest image and commits: tried on its newest proven backup first, then done while it is stopped; the data of now are kept for 7 days, and Undo update in Odoo brings them back',
  )
  .option('--yes', 'it is stopped for some minutes, and you know that')
  .action(async (instance: string, { yes }: { yes?: boolean }) => {
    const sidecar = await assemble(config());
    const desired = await resolveInstance(instance, sidecar);
    requireYes(yes === true, `instance ${desired.id}: it would be stopped for some minutes`);
    await runJob(sidecar, desired, 'update', '', printLine, onInterrupt());
    printLine('Updated. The data from before are kept for 7 days: Undo update in Odoo.');
  });

program
  .command('erase')
  .argument('<instance>', INSTANCE)
  .description(
    'erase all that is kept of an instance that was removed and is paid for no more: what is left of its data, its backups and their key',
  )
  .option('--yes', 'nobody can bring the data back, and you know that')
  .action(async (instance: string, { yes }: { yes?: boolean }) => {
    const sidecar = await assemble(config());
    const desired = await resolveInstance(instance, sidecar);
    requireYes(
      yes === true,
      `instance ${desired.id}, ${printable(desired.name)}: its data and all backups of them would be gone for good`,
    );
    await runJob(sidecar, desired, 'erase', '', printLine, onInterrupt());
    printLine('Erased.');
  });

program
  .command('reconcile-host')
  .description(
    "show what is on this host and not in the manager's database, after that was restored or copied",
  )
  .option(
    '--confirm',
    'give what was found its record in Odoo again, and work for this database from now on',
  )
  .action(async (options: { confirm?: boolean }) => {
    const lines = await reconcileHost(config(), options.confirm === true);
    process.stdout.write(`${lines.join('\n')}\n`);
  });

program
  .command('take-over')
  .description(
    'make this host the one that works for its install, in place of a lost one: any other host stops its instances and writes no backups',
  )
  .option('--yes', 'another host works for it until now, and you know that it is off')
  .action(async (options: { yes?: boolean }) => {
    await takeOver(await assemble(config()), options.yes === true, onInterrupt());
    printLine('This host works for the install now.');
  });

program
  .command('doctor')
  .description(
    'check Docker, Odoo and its rights, Postgres, disk, memory, clocks, mail, door and backups; each failure names its fix',
  )
  .action(async () => {
    process.exitCode = (await doctor(config())) ? 0 : 1;
  });

/** @throws ConfigError when none or several fit */
async function resolveInstance(text: string, sidecar: Sidecar): Promise<DesiredInstance> {
  const isNumber = /^\d+$/.test(text);
  const candidates = isNumber
    ? await sidecar.manager.desired([Number(text)])
    : await allInstances(sidecar);
  return findInstance(text, candidates);
}

/** Restores what a new host has nothing of. @throws UsageError unless it was confirmed, or where something is named besides */
async function restoreEach(what: string | undefined, isConfirmed: boolean): Promise<void> {
  if (what !== undefined)
    throw new UsageError(`restore --all: expected nothing else, found ${what}`);
  requireYes(
    isConfirmed,
    'restore --all: each instance of which nothing is here gets the data of its newest proven backup, and starts if it should run',
  );
  const { failed, restored } = await restoreAll(await assemble(config()), printLine, onInterrupt());
  printLine(`${restored} restored, ${failed} not.`);
  if (failed > 0) process.exitCode = 1;
}

/** Puts a backup in the place of an instance's data, or another one's. @throws UsageError unless it was confirmed */
async function restoreBackup(
  instance: string,
  text: string,
  isConfirmed: boolean,
  as: string | undefined,
): Promise<void> {
  const sidecar = await assemble(config());
  const desired = await resolveInstance(instance, sidecar);
  const { date, snapshot } = findBackup(text, await listBackups(desired, sidecar));
  if (as !== undefined) {
    const target = await resolveInstance(as, sidecar);
    await restoreAs(sidecar, desired, snapshot, target, onInterrupt());
    return printLine(restoredAs(target.id));
  }
  requireYes(
    isConfirmed,
    `instance ${desired.id}: all that was done since ${date.toISOString()} would leave it`,
  );
  await runJob(sidecar, desired, 'restore', snapshot, printLine, onInterrupt());
  printLine('Restored. Data that it replaced are kept for 7 days: Undo in Odoo brings them back.');
}

/** Gives a new instance the data of one of another install. @throws UsageError unless both files are named */
async function restoreMoved(
  instance: string,
  text: string,
  from: string | undefined,
  escrow: string | undefined,
): Promise<void> {
  if (from === undefined || escrow === undefined)
    throw new UsageError('restore: --from and --escrow belong together');
  const sidecar = await assemble(config());
  const desired = await resolveInstance(instance, sidecar);
  const place = { repository: from, escrow, text };
  await restoreForeign(sidecar, desired, place, onInterrupt());
  printLine(restoredAs(desired.id));
}

function restoredAs(id: number): string {
  return `Restored as instance ${id}. Press Start in Odoo to run it.`;
}

function listBackups(desired: DesiredInstance, sidecar: Sidecar): Promise<Backup[]> {
  return sidecar.backups.store.list(desired, new AbortController().signal);
}

/** Aborts once the process is told to end. */
function onInterrupt(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => stop.abort(new InterruptedError(`ended by ${signal}`)));
  return stop.signal;
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}

/** Errors with a cause outside of this program: printed without a stack trace. Anything else is a bug. */
const EXPECTED = [
  ...[ConfigError, TerminalError, RetryableError, ManagerError, CommandError],
  InterruptedError,
];

/** The exit code of a command that was called with what it cannot use. */
const WRONG_USE = 2;

/** That of one that was interrupted, as a shell has it for SIGINT. */
const INTERRUPTED = 130;

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong, or has shown the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : WRONG_USE;
    return;
  }
  const isExpected = EXPECTED.some((kind) => error instanceof kind);
  const text = error instanceof Error ? (isExpected ? error.message : error.stack) : String(error);
  process.stderr.write(`microsaas: ${redact(text ?? '')}\n`);
  process.exitCode = exitCodeOf(error);
});

function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return INTERRUPTED;
  return error instanceof UsageError ? WRONG_USE : 1;
}
