import { parse } from 'ini';
import { TerminalError } from '../errors.ts';
import type { TemplateText } from './template-language.ts';

/** The values that an instance's odoo.conf must have, whatever else the template sets. */
export interface ConfFacts {
  readonly database: string;
  readonly dbPassword: string;
  readonly masterPasswordHash: string;
  readonly dbHost: string;
  /** '' at a socket. */
  readonly dbPort: string;
}

const OPTION = /^([a-z][a-z0-9_]*)[ \t]*=/;

/**
 * Checks a rendered odoo.conf: one section, each option once, only options the template's own text names, and the ones
 * that restrict a customer to their own database as they must be.
 * @throws TerminalError TemplateInvalid or TemplateBreaksPolicy.
 */
export function checkConf(
  conf: string,
  template: { readonly code: string; readonly conf: TemplateText },
  facts: ConfFacts,
): void {
  const lines = conf.split('\n').filter((line) => line.trim() && !/^[#;]/.test(line));
  const names = optionNames(lines);
  const fail = (reason: 'TemplateInvalid' | 'TemplateBreaksPolicy', why: string): never => {
    throw new TerminalError(
      reason,
      `The template "${template.code}" cannot be used: odoo.conf: ${why}`,
      { detail: [template.code, 'odoo.conf', why] },
    );
  };
  // Python takes an indented line for more of the value above; the parser here takes it for an option.
  if (lines[0] !== '[options]' || names.length !== lines.length - 1)
    fail('TemplateInvalid', 'expected [options] and then lines of the form "name = value"');
  if (new Set(names).size !== names.length) fail('TemplateInvalid', 'an option is there twice');

  const known = new Set(optionNames(template.conf.source.split('\n')));
  for (const name of names)
    if (!known.has(name)) fail('TemplateBreaksPolicy', `"${name}" is not in the template`);

  const { options } = parse(conf);
  const required = {
    admin_passwd: facts.masterPasswordHash,
    data_dir: '/var/lib/odoo',
    db_name: facts.database,
    db_password: facts.dbPassword,
    db_user: facts.database,
    list_db: 'False',
    db_host: facts.dbHost,
    // Anything less would let an impostor in.
    ...(facts.dbPort ? { db_port: facts.dbPort, db_sslmode: 'verify-full' } : {}),
  };
  for (const [name, value] of Object.entries(required))
    if (options[name] !== value) fail('TemplateBreaksPolicy', `"${name}" is not what it must be`);
  // With it, Odoo serves the databases that its role owns: none (ADR 9). Without, it serves db_name.
  if ('dbfilter' in options) fail('TemplateBreaksPolicy', '"dbfilter" may not be there');
}

function optionNames(lines: readonly string[]): string[] {
  return lines.flatMap((line) => OPTION.exec(line)?.[1] ?? []);
}
