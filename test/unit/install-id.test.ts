import fs, { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError } from '../../src/errors.ts';
import { lockInstall, readInstallId } from '../../src/install-id.ts';
import { isInstallId } from '../../src/instance/name.ts';
import { temporaryFolder } from '../support/temporary.ts';

describe('the install id', () => {
  const folder = temporaryFolder();

  it('is generated on the first start and then kept', () => {
    const dataDir = join(folder(), 'not', 'there', 'yet');
    const id = readInstallId(dataDir);
    expect(isInstallId(id)).to.equal(true);
    expect(readInstallId(dataDir)).to.equal(id);
    expect(readFileSync(join(dataDir, 'install-id'), 'utf8')).to.equal(`${id}\n`);
  });

  it('is there as a whole or not at all: nobody who starts at the same moment, or later, finds a part of it', () => {
    const { writeFileSync: write } = fs;
    let seen: string[] = [];
    fs.writeFileSync = (file, _data, options) => {
      write(file, '', options);
      seen = readdirSync(folder());
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    syncBuiltinESMExports();
    try {
      expect(() => readInstallId(folder())).to.throw('ENOSPC');
    } finally {
      fs.writeFileSync = write;
      syncBuiltinESMExports();
    }
    expect(seen).to.have.length(1).and.not.include('install-id');
    expect(isInstallId(readInstallId(folder()))).to.equal(true);
    expect(readdirSync(folder()), 'nothing else is left behind').to.deep.equal(['install-id']);
  });

  it('is refused in any other form', () => {
    for (const text of ['', 'ABC123', '1abcde', 'abc1234', 'abc 12']) {
      writeFileSync(join(folder(), 'install-id'), text);
      expect(() => readInstallId(folder())).to.throw(ConfigError, /expected a small letter/);
    }
  });

  it('can be locked by one process on the host, and again once that releases it, each id separately', async () => {
    const install = `t${process.pid.toString(36).padStart(5, '0').slice(-5)}`;
    const unlock = await lockInstall(install);
    const refused = await lockInstall(install).catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(ConfigError).with.property('message').that.includes(install);
    (await lockInstall(`u${install.slice(1)}`))();
    unlock();
    (await lockInstall(install))();
  });
});
