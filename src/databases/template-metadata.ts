import { z } from 'zod';
import { templatePrefix } from '../instance/name.ts';
import type { Cluster } from '../postgres/cluster.ts';
import { isSpare } from './clone-pool.ts';
import { languageList, moduleSet, type TemplateKey } from './template-key.ts';

/** How long a template database that no plan needs is kept after its last use. */
const MAX_IDLE_MS = 30 * 24 * 3600_000;

/** How many of those are kept at most, for rare languages and countries. */
const MAX_IDLE_TEMPLATES = 10;

const metadataSchema = z.object({
  image: z.string(),
  imageId: z.string(),
  modules: z.array(z.string()),
  lang: z.string(),
  countryCode: z.string(),
  usedAt: z.iso.datetime(),
});

/** The comment on a template database, as JSON: what it was made from, and when it was last cloned. */
export type TemplateMetadata = z.infer<typeof metadataSchema>;

/** The metadata of a template that is made or used now. */
export function metadataOf(image: string, key: TemplateKey): TemplateMetadata {
  const { imageId, countryCode } = key;
  const modules = moduleSet(key.modules);
  const usedAt = new Date().toISOString();
  return { image, imageId, modules, lang: languageList(key), countryCode, usedAt };
}

/** Parses a comment; null when it is not the sidecar's, and such a database is left alone. */
export function readMetadata(comment: string | null): TemplateMetadata | null {
  try {
    return metadataSchema.parse(JSON.parse(comment ?? ''));
  } catch {
    return null;
  }
}

/** All template databases of an install, unfinished ones included; `metadata` is null where readMetadata() finds none. */
export async function listTemplates(
  cluster: Cluster,
  install: string,
): Promise<Array<{ hash: string; isUnfinished: boolean; metadata: TemplateMetadata | null }>> {
  const prefix = templatePrefix(install);
  const found = await cluster.administer((client) =>
    client.query<{ name: string; comment: string | null }>(
      `SELECT datname AS name, shobj_description(oid, 'pg_database') AS comment
       FROM pg_database WHERE starts_with(datname, $1)`,
      [prefix],
    ),
  );
  const templates = found.rows.filter(({ name }) => !isSpare(name));
  return templates.map(({ name, comment }) => {
    const hash = name.slice(prefix.length).replace(/_new$/, '');
    return { hash, isUnfinished: name.endsWith('_new'), metadata: readMetadata(comment) };
  });
}

/** A complete template database. */
export interface KeptTemplate {
  readonly hash: string;
  readonly metadata: TemplateMetadata;
  /** Its image has been replaced: nothing will be cloned from it again. */
  readonly isStale: boolean;
}

/**
 * Which template databases to evict: stale ones, and the least recently used. Never one that a plan needs.
 * @param wanted hashes of the templates that plans need
 */
export function evictable(
  templates: readonly KeptTemplate[],
  wanted: ReadonlySet<string>,
  now: Date,
): KeptTemplate[] {
  const idle = templates.filter(({ hash }) => !wanted.has(hash));
  const usable = idle
    .filter(({ isStale }) => !isStale)
    .sort((one, other) => other.metadata.usedAt.localeCompare(one.metadata.usedAt));
  const oldest = new Date(now.getTime() - MAX_IDLE_MS).toISOString();
  const unused = usable.filter(
    ({ metadata }, rank) => rank >= MAX_IDLE_TEMPLATES || metadata.usedAt < oldest,
  );
  return [...idle.filter(({ isStale }) => isStale), ...unused];
}
