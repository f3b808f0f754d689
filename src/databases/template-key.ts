import { createHash } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import type { DesiredInstance, Plan, RepositoryCommit } from '../instance/types.ts';

/** Identifies a template database: instances with the same key are cloned from the same one. */
export interface TemplateKey {
  /** The Odoo image's id (`sha256:…`), not its tag: a new image needs a new template. */
  readonly imageId: string;
  readonly modules: readonly string[];
  /** Sources of modules in addition to the image. */
  readonly repositories: readonly RepositoryCommit[];
  /** Odoo language codes of what it has beside English, sorted. */
  readonly languages: readonly string[];
  readonly countryCode: string;
}

/** Installed in every database; `auth_signup` serves the one-time link of the welcome mail. */
const BASE_MODULES = ['auth_signup', 'web'];

/** Module names as Odoo allows them; anything else must never become an argument. */
const MODULE_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Every database of Odoo has it already. */
const ENGLISH = 'en_US';

/** Incremented when templates are built differently: trim() then evicts the older ones. */
const FORMAT = 2;

/** Same key, same hash: a template is looked up by its name. @throws TerminalError('ModulesFailed') as moduleSet() does */
export function templateHash(key: TemplateKey): string {
  const modules = moduleSet(key.modules);
  const repositories = key.repositories.map(({ commit, url }) => [commit, url]);
  const canonical = JSON.stringify([
    ...[FORMAT, key.imageId, modules, languageList(key), countryOf(key)],
    ...(repositories.length > 0 ? [repositories] : []),
  ]);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

/** The languages as one text: those beside English, or English alone. */
export function languageList({ languages }: Pick<TemplateKey, 'languages'>): string {
  return languages.join(',') || ENGLISH;
}

/** The country that the database is made for; '' where no module depends on it, or it is unknown. */
export function countryOf({ countryCode, modules }: TemplateKey): string {
  const asks = moduleSet(modules).length > BASE_MODULES.length;
  return asks && /^[A-Z]{2}$/.test(countryCode) ? countryCode : '';
}

/** The modules to install for a plan, sorted. @throws TerminalError('ModulesFailed') on an invalid module name */
export function moduleSet(modules: readonly string[]): string[] {
  for (const module of modules)
    if (!MODULE_NAME.test(module))
      throw new TerminalError(
        'ModuleNameInvalid',
        `"${module}" is not the name of an Odoo module.`,
        {
          detail: module,
        },
      );
  return [...new Set([...BASE_MODULES, ...modules])].sort();
}

/** What a plan's instances are cloned from: one template for each language. */
export function keysOfPlan(
  { modules, countryCode, languages, repositories }: Plan,
  imageId: string,
): TemplateKey[] {
  return languages.map((lang) => ({
    ...{ imageId, modules, repositories, countryCode },
    languages: besideEnglish([lang]),
  }));
}

/** What a plan's spares are cloned from: one template with all languages. Null: it has none. */
export function keyOfSpares(plan: Plan, imageId: string): TemplateKey | null {
  const { countryCode, modules, repositories, spares } = plan;
  const languages = besideEnglish(plan.languages);
  return spares > 0 ? { imageId, modules, repositories, languages, countryCode } : null;
}

/** What one instance is cloned from. Repositories that its plan does not bring are no part of it. */
export function keyOfInstance(
  { customer, languages: ofSpare, modules, repositories, spare }: DesiredInstance,
  imageId: string,
): TemplateKey {
  const { countryCode, lang } = customer;
  // What was a spare and lost its data is made for its customer.
  const languages = besideEnglish(spare === 'kept' && ofSpare ? ofSpare : [lang]);
  const ofPlan = repositories.filter(({ isOfPlan }) => isOfPlan);
  return { imageId, modules, repositories: ofPlan, languages, countryCode };
}

function besideEnglish(languages: readonly string[]): string[] {
  return languages.filter((lang) => lang !== '' && lang !== ENGLISH).sort();
}
