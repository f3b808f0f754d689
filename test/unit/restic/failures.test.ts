import { expect } from 'chai';
import { CommandError } from '../../../src/errors.ts';
import { asReason } from '../../../src/restic/failures.ts';

describe('what restic says when it fails', () => {
  const said = (stderr: string, isHere = false) => {
    const { detail, reason } = asReason(new CommandError(['docker'], 1, stderr), isHere);
    return `${reason}: ${detail}`;
  };
  /** Of a retry, as restic 0.18 writes it. */
  const again =
    'Load(<data/503>) returned error, retrying after 1.5s: Get "http://x:***@192.0.2.1/": dial tcp 192.0.2.1:80: connect: connection refused';

  it('is no damage where a server over SSH hangs up, and names ssh’s own last words', () => {
    const fatal =
      'Fatal: unable to open repository: unable to start the sftp session, error: unexpected EOF';
    expect(said(fatal)).to.match(/^BackupServerAway: Fatal/);
    expect(said(`subprocess ssh: @@@@\nsubprocess ssh: Host key changed.\n${fatal}`)).to.equal(
      'BackupServerAway: subprocess ssh: Host key changed.',
    );
  });

  it('is damage where a file of this host ends early, and an answer where a server’s does', () => {
    const cut = 'Load(<data/08d1>) failed: unexpected EOF';
    expect(said(cut, true)).to.equal(`BackupDamaged: ${cut}`);
    expect(said(cut)).to.equal(`BackupServerAway: ${cut}`);
  });

  it('is not what was tried again and went well; all that there is where it was ended meanwhile', () => {
    const damage = 'Fatal: ciphertext verification failed';
    const well = 'Load(<data/503>) operation successful after 1 retries';
    expect(said(`${again}\n${well}\n${damage}`)).to.equal(`BackupDamaged: ${damage}`);
    expect(said(again)).to.match(/^BackupServerAway: .*connection refused$/);
  });

  it('is no server’s error for digits in the name of what is damaged', () => {
    const damage = 'pack 5031HTTP does not match';
    expect(said(damage)).to.equal(`BackupDamaged: ${damage}`);
  });

  for (const [text, reason] of [
    ['unexpected HTTP response (401): 401 Unauthorized', 'BackupServerRefused'],
    ['subprocess ssh: me@host: Permission denied (publickey).', 'BackupServerRefused'],
    ['unexpected HTTP response (507): 507 Insufficient Storage', 'BackupServerFull'],
    ['sftp: no space left on device', 'BackupServerFull'],
    ['create repository at sftp:me@host:/x failed: EOF', 'BackupServerAway'],
    ['unexpected HTTP response (502): 502 Bad Gateway', 'BackupServerAway'],
    ['tls: failed to verify certificate: x509: unknown authority', 'BackupServerAway'],
  ] as const)
    it(`says of “${text}” ${reason}`, () => {
      expect(said(`Fatal: ${text}\nIs there a repository at the following location?`)).to.equal(
        `${reason}: Fatal: ${text}`,
      );
    });
});
