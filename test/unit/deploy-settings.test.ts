import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readDeploySettings } from '../../stack/deploy-settings.ts';
import { repository } from '../../stack/paths.ts';
import { temporaryFolder } from '../support/temporary.ts';

const LEAST = 'domain: example.com\nemail: hosting@example.com\n';

describe('deploy.yaml', () => {
  const folder = temporaryFolder();
  const file = () => join(folder(), 'deploy.yaml');
  const read = async (text: string) => {
    await writeFile(file(), text);
    return readDeploySettings(folder());
  };
  const refusal = (text: string) =>
    read(text).then(
      () => 'accepted',
      (error: Error) => error.message,
    );

  it('is accepted as the example has it, and with its optional parts', async () => {
    const example = await readFile(join(repository, 'deploy', 'deploy.example.yaml'), 'utf8');
    expect(await read(example)).to.deep.include({ domain: 'example.com', languages: ['es_ES'] });
    const all = await read(example.replace(/^# (sidecar:|environment:| {2}\w+:)/gm, '$1'));
    expect(all.sidecar).to.deep.equal({ instances: { freeMemoryMb: 1024 } });
    expect(all.door).to.deep.include({ manager: 'manager', addresses: ['203.0.113.7'] });
    expect(all.environment).to.include({ MANAGER_MEMORY: '6g' });
  });

  it('needs a domain and an address, and has defaults for all else', async () => {
    expect(await read(LEAST)).to.deep.equal({
      ...{ domain: 'example.com', email: 'hosting@example.com', manager: 'manager' },
      ...{ languages: [], shop: true, sidecar: {}, environment: {} },
      door: { domain: 'example.com', manager: 'manager', acme: { email: 'hosting@example.com' } },
    });
    expect(await refusal('domain: example.com\n')).to.match(/ {2}email: /);
  });

  it('may have sections of which everything is commented out', async () => {
    const empty = `${LEAST}sidecar:\n  instances:\n  # freeMemoryMb: 1024\nenvironment:\nlanguages:\n`;
    expect(await read(empty)).to.deep.include({ environment: {}, languages: [] });
  });

  it('takes a number for a variable', async () => {
    const { environment } = await read(`${LEAST}environment: { TENANT_DB_CPUS: 2 }\n`);
    expect(environment).to.deep.equal({ TENANT_DB_CPUS: '2' });
  });

  for (const [what, text, said] of [
    ['a key that there is not', 'langauges: [es_ES]', /langauges/],
    ['a name in place of a language code', 'languages: [Spanish]', /languages\.0: .*es_ES/],
    ['a typo in a setting', 'sidecar: { instances: { freeMemory: 9 } }', /instances.*freeMemory/],
    ['a section that there is not', 'sidecar: { instance: { parallel: 9 } }', /instance/],
    ['a wrong value', 'sidecar: { door: { addresses: [here] } }', /door\.addresses\.0: .*"here"/],
    ['a domain with a capital', 'sidecar: { door: { domain: Example.com } }', /lower case/],
    ['a variable that there is not', 'environment: { MANAGER_MEM: 6g }', /MANAGER_MEM; .*MEMORY/],
    ['a variable of the stack itself', 'environment: { INSTALL: x }', /no INSTALL/],
    ['no YAML', 'sidecar: {', /deploy\.yaml: /],
  ] as const)
    it(`with ${what} is refused before anything is begun`, async () => {
      expect(await refusal(`${LEAST}${text}\n`)).to.match(said);
    });

  it('that is not there names the example', async () => {
    const error = await readDeploySettings(folder()).catch((it: Error) => it);
    expect(String(error)).to.match(/ENOENT.*deploy\.example\.yaml/);
  });

  it('is closed to others, for it may hold passwords', async () => {
    await writeFile(file(), LEAST);
    await chmod(file(), 0o644);
    await readDeploySettings(folder());
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
  });
});
