import { createHash } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { languagesBesideEnglish } from '../instance/spare-plan.ts';
import type { DesiredInstance, Plan, RepositoryCommit } from '../instance/types.ts';

/** Identifies a template database: instances with the same key are cloned from the same one. */
export interface TemplateKey {
  /** The Odoo image's id (`sha256:…`), not its tag: a new image needs a new template. */
  readonly imageId: string;
  readonly modules: readonly string[];
  /** Sources of modules in addition to the image. */
  readonly repositories: readonly RepositoryCommit[];
  /** As `Customer.lang`. */
  readonly lang: string;
  readonly countryCode: string;
}

/** Installed in every database; `auth_signup` serves the one-time link of the welcome mail. */
const BASE_MODULES = ['auth_signup', 'web'];

/** Module names as Odoo allows them; anything else must never become an argument. */
const MODULE_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Incremented when templates are built differently: trim() then evicts the older ones. */
const FORMAT = 2;

/** Same key, same hash: a template is looked up by its name. @throws TerminalError('ModulesFailed') as moduleSet() does */
export function templateHash(key: TemplateKey): string {
  const modules = moduleSet(key.modules);
  const repositories = key.repositories.map(({ commit, url }) => [commit, url]);
  const canonical = JSON.stringify([
    ...[FORMAT, key.imageId, modules, key.lang, countryOf(key)],
    ...(repositories.length > 0 ? [repositories] : []),
  ]);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
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
  return languages.map((lang) => ({ imageId, modules, repositories, lang, countryCode }));
}

/** What a plan's spares are cloned from: one template with all languages. Null: it has none. */
export function keyOfSpares(plan: Plan, imageId: string): TemplateKey | null {
  const { countryCode, languages, modules, repositories, spares } = plan;
  const lang = languagesBesideEnglish(languages);
  return spares > 0 ? { imageId, modules, repositories, lang, countryCode } : null;
}

/** What one instance is cloned from. Repositories that its plan does not bring are no part of it. */
export function keyOfInstance(
  { customer, modules, repositories }: DesiredInstance,
  imageId: string,
): TemplateKey {
  const { countryCode, lang } = customer;
  const ofPlan = repositories.filter(({ isOfPlan }) => isOfPlan);
  return { imageId, modules, repositories: ofPlan, lang, countryCode };
}
