import { z } from 'zod';
import { templatePrefix } from '../instance/name.ts';
import type { Cluster } from '../postgres/cluster.ts';
import { isSpare } from './clone-pool.ts';
import { moduleSet, type TemplateKey } from './template-key.ts';

/** How long a template database that no plan wants is kept after its last use. */
const MAX_IDLE_MS = 30 * 24 * 3600_000;

/** How many of those are kept at most: customers of a rare language or country. */
const MAX_IDLE_TEMPLATES = 10;

const metadataSchema = z.object({
  image: z.string(),
  imageId: z.string(),
  modules: z.array(z.string()),
  lang: z.string(),
  countryCode: z.string(),
  usedAt: z.iso.datetime(),
});

/** What the comment on a template database says, as JSON: what it was made of, and when it was last cloned. */
export type TemplateMetadata = z.infer<typeof metadataSchema>;

/** What a template made now is made of. */
export function metadataOf(image: string, key: TemplateKey): TemplateMetadata {
  const { imageId, lang, countryCode } = key;
  const modules = moduleSet(key.modules);
  return { image, imageId, modules, lang, countryCode, usedAt: new Date().toISOString() };
}

/** Reads a comment; null when it is none of ours, and such a database is left alone. */
export function readMetadata(comment: string | null): TemplateMetadata | null {
  try {
    return metadataSchema.parse(JSON.parse(comment ?? ''));
  } catch {
    return null;
  }
}

/** Every template database of an install, and every one that was begun; `metadata` is null where there is none of ours. */
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

/** A template database that is there. */
export interface KeptTemplate {
  readonly hash: string;
  readonly metadata: TemplateMetadata;
  /** Its image has been replaced since: nothing will ever be cloned from it again. */
  readonly isStale: boolean;
}

/**
 * Which template databases may go: stale ones, and the least recently used. Never one that a plan wants.
 * @param wanted hashes of what the plans' instances are cloned from
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
