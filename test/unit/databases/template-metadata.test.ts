import { expect } from 'chai';
import {
  evictable,
  type KeptTemplate,
  readMetadata,
} from '../../../src/databases/template-metadata.ts';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const METADATA = {
  image: 'odoo:19.0',
  imageId: 'sha256:1',
  modules: ['web'],
  lang: 'es_ES',
  countryCode: '',
  usedAt: NOW.toISOString(),
};

function aTemplate(hash: string, daysAgo: number, isStale = false): KeptTemplate {
  const usedAt = new Date(NOW.getTime() - daysAgo * 24 * 3600_000).toISOString();
  return { hash, isStale, metadata: { ...METADATA, usedAt } };
}

describe('evictable', () => {
  const dropped = (templates: KeptTemplate[], ...wanted: string[]) =>
    evictable(templates, new Set(wanted), NOW).map(({ hash }) => hash);

  it('names what is stale or was last used more than thirty days ago', () => {
    const all = [aTemplate('new', 0), aTemplate('old', 31), aTemplate('stale', 0, true)];
    expect(dropped(all)).to.have.members(['old', 'stale']);
  });

  it('names the least recently used of more than ten', () => {
    const all = Array.from({ length: 12 }, (_, day) => aTemplate(`${day}`, day));
    expect(dropped(all)).to.have.members(['10', '11']);
  });

  it('never names one that a plan needs, and does not count it', () => {
    const all = Array.from({ length: 12 }, (_, day) => aTemplate(`${day}`, day));
    expect(dropped([...all, aTemplate('old', 400, true)], 'old', '10', '11')).to.deep.equal([]);
  });
});

describe('readMetadata', () => {
  it('parses the sidecar’s comments, and returns null for others', () => {
    expect(readMetadata(JSON.stringify(METADATA))).to.deep.equal(METADATA);
    for (const comment of [null, '', 'x', '{}', JSON.stringify({ ...METADATA, usedAt: 'today' })])
      expect(readMetadata(comment), `${comment}`).to.equal(null);
  });
});
