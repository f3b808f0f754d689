#!/usr/bin/env node
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { containerLogs } from './engine/commands.ts';
import { dockerEnvironment } from './engine/docker-cli.ts';
import { execInTerminal } from './engine/exec.ts';
import { ConfigError, TerminalError } from './errors.ts';
import { readInstallId } from './install-id.ts';
import { projectName } from './instance/name.ts';
import { makeLogger, redact } from './log.ts';
import { reconcileHost } from './reconcile-host.ts';
import { restore } from './restore.ts';
import { run } from './run.ts';
import { assemble } from './sidecar.ts';

const program = new Command('microsaas')
  .description('The sidecar: turns paid invoices in Odoo into running Odoo instances.')
  .option(
    '-c, --config <file>',
    'the configuration (default: $MICROSAAS_CONFIG or ./microsaas.yaml)',
  )
  .showHelpAfterError();

const config = () => loadConfig(program.opts<{ config?: string }>().config);

program
  .command('run', { isDefault: true })
  .description('serve until SIGTERM or SIGINT')
  .action(async () => {
    const settings = config();
    const stop = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => stop.abort(new Error(signal)));
    await run(settings, makeLogger(settings.log), stop.signal);
  });

program
  .command('logs <instance>')
  .description("show what an instance's Odoo writes, by the instance's number")
  .option('-f, --follow', 'go on showing new lines')
  .option('-n, --tail <lines>', 'how many lines to begin with', '200')
  .action(async (instance: string, options: { follow?: boolean; tail: string }) => {
    const settings = config();
    const project = projectName(readInstallId(settings.dataDir), wholeNumber(instance));
    const tail = wholeNumber(options.tail);
    await execInTerminal(
      containerLogs(`${project}-odoo`, { tail, follow: options.follow === true }),
      dockerEnvironment(settings.docker.socket),
    );
  });

program
  .command('secret <instance>')
  .description(
    "print the login and first password of an instance's administrator, by the instance's number",
  )
  .option('--json', 'as JSON')
  .action(async (instance: string, options: { json?: boolean }) => {
    const { manager, databases, dirs, engine } = await assemble(config());
    const id = wholeNumber(instance);
    const [desired] = await manager.desired([id]);
    if (!desired?.wasReady)
      throw new ConfigError(
        `instance ${id}: expected one that has run, found ${desired ? 'one that has not' : 'none'}`,
      );
    const login = await databases.adminLogin(desired);
    const { adminPassword: password } = await dirs.secrets(id);
    const url = engine.url(desired);
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ url, login, password })}\n`
        : `URL       ${url}\nlogin     ${login}\npassword  ${password}   (unless the customer has changed it)\n`,
    );
  });

program
  .command('restore <archive>')
  .description(
    'bring back an instance whose data were removed, from its archive; it is stopped then',
  )
  .option('--as <instance>', 'the number of another instance, one that has never been started')
  .action(async (archive: string, options: { as?: string }) => {
    const target = options.as === undefined ? null : wholeNumber(options.as);
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort(new Error('SIGINT')));
    const id = await restore(config(), archive, target, stop.signal);
    process.stdout.write(`Restored as instance ${id}. Press Start in Odoo to run it.\n`);
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
  .command('doctor')
  .description(
    'check Docker, Compose, Odoo and its rights, Postgres and the disk; each failure names its mend',
  )
  .action(async () => {
    process.exitCode = (await doctor(config())) ? 0 : 1;
  });

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}

program.parseAsync().catch((error: unknown) => {
  const isExpected = error instanceof ConfigError || error instanceof TerminalError;
  const text = error instanceof Error ? (isExpected ? error.message : error.stack) : String(error);
  process.stderr.write(`microsaas: ${redact(text ?? '')}\n`);
  process.exitCode = 1;
});
