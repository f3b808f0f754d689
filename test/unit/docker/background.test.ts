import { expect } from 'chai';
import { Background } from '../../../src/docker/background.ts';
import type { DockerCli } from '../../../src/docker/docker-cli.ts';
import { BACKGROUND_LABEL, hardenedRun } from '../../../src/docker/helpers.ts';
import { HeldTime } from '../../fakes/clock.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const INSTALL = 'k3x9ab';
const LABELS = { 'microsaas.install': INSTALL, 'microsaas.background': 'true' };

describe('work that nobody waits for', () => {
  let time: HeldTime;
  let docker: FakeDocker;
  let background: Background;
  let errors: unknown[];
  beforeEach(() => {
    time = new HeldTime();
    docker = new FakeDocker();
    errors = [];
    background = new Background({
      ...{ install: INSTALL, api: docker.api },
      onError: (error) => errors.push(error),
    });
    docker.helper('backup', LABELS, 'running', 0);
  });
  afterEach(() => {
    time.release();
    expect(errors).to.deep.equal([]);
  });

  const states = () =>
    Object.fromEntries([...docker.containers.values()].map((it) => [it.name, it.state]));
  /** A start that takes so many milliseconds. */
  const start = (ms: number) =>
    background.during(() => new Promise<void>((resolve) => setTimeout(resolve, ms)));

  it('stands still while a customer’s instance starts, and two seconds longer', async () => {
    const done = start(4_000);
    await time.pass(100);
    expect(states()).to.deep.equal({ backup: 'paused' });
    await time.pass(5_800);
    expect(states()).to.deep.equal({ backup: 'paused' });
    await time.pass(300);
    expect(states()).to.deep.equal({ backup: 'running' });
    await done;
  });

  it('leaves instances, other installs, and what a person has stopped', async () => {
    docker.helper('instance', { 'microsaas.install': INSTALL }, 'running', 0);
    docker.helper('another’s', { ...LABELS, 'microsaas.install': 'other1' }, 'running', 0);
    docker.helper('stopped', LABELS, 'exited', 0);
    const done = start(1_000);
    await time.pass(700);
    const others = { instance: 'running', 'another’s': 'running', stopped: 'exited' };
    expect(states()).to.deep.equal({ backup: 'paused', ...others });
    await time.pass(3_000);
    expect(states()).to.deep.equal({ backup: 'running', ...others });
    await done;
  });

  it('stands still for a quarter of a minute at most', async () => {
    const done = start(50_000);
    await time.pass(14_500, 100);
    expect(states()).to.deep.equal({ backup: 'paused' });
    await time.pass(1_000, 100);
    expect(states()).to.deep.equal({ backup: 'running' });
    await time.pass(40_000, 500);
    await done;
  });

  it('then runs for as long as it stood, and stands still for whoever starts after that', async () => {
    const stuck = start(60_000);
    await time.pass(20_000, 100);
    const next = start(1_000);
    await time.pass(900);
    expect(states(), 'it has its turn').to.deep.equal({ backup: 'running' });
    await time.pass(10_000, 100);
    const later = start(1_000);
    await time.pass(900);
    expect(states(), 'also while one does not come to its end').to.deep.equal({ backup: 'paused' });
    await time.pass(60_000, 500);
    await Promise.all([stuck, next, later]);
  });

  it('is thawed by a daemon that did not answer at first', async () => {
    const done = start(1_000);
    await time.pass(2_900);
    docker.isAway = true;
    await time.pass(2_000);
    docker.isAway = false;
    await time.pass(1_500);
    expect(states()).to.deep.equal({ backup: 'running' });
    expect(errors.splice(0)).not.to.deep.equal([]);
    await done;
  });

  it('is not frozen by calls that were made before it went on', async () => {
    const pause = docker.api.pause.bind(docker.api);
    docker.api.pause = async (id: string) => {
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      await pause(id);
    };
    const done = start(100);
    await time.pass(4_000);
    await done;
    await time.pass(3_000);
    expect(states()).to.deep.equal({ backup: 'running' });
  });

  it('stands still once for starts that follow each other', async () => {
    const first = start(1_000);
    await time.pass(1_500);
    const second = start(2_000);
    await time.pass(1_800);
    expect(states()).to.deep.equal({ backup: 'paused' });
    await time.pass(2_500);
    expect(states()).to.deep.equal({ backup: 'running' });
    await Promise.all([first, second]);
  });

  it('pauses what was being made when it was to stand still', async () => {
    const done = start(3_000);
    await time.pass(200);
    docker.helper('made meanwhile', LABELS, 'running', 0);
    await time.pass(600);
    expect(states()['made meanwhile']).to.equal('paused');
    docker.helper('made later', LABELS, 'running', 0);
    await time.pass(600);
    expect(states()['made later']).to.equal('paused');
    await time.pass(4_500);
    await done;
  });

  it('begins no container meanwhile, and every other at once', async () => {
    const ran: string[] = [];
    const cli: DockerCli = async (command) => {
      ran.push(command.at(-1) ?? '');
      return '';
    };
    const behind = background.behind(cli);
    const run = (name: string, options: readonly string[]) =>
      behind(
        hardenedRun({
          ...{ install: INSTALL, kind: 'backup', image: 'any', network: 'none', pids: 1 },
          ...{ memory: '1m', options, args: [name] },
        }),
      );
    const done = start(1_000);
    await time.pass(20);
    const ended = [run('backup', [BACKGROUND_LABEL]), run('a customer’s', [])];
    await time.pass(2_000);
    expect(ran).to.deep.equal(['a customer’s']);
    await time.pass(1_500);
    expect(ran).to.deep.equal(['a customer’s', 'backup']);
    await Promise.all([done, ...ended]);
  });

  it('does not begin what was given up meanwhile', async () => {
    const stop = new AbortController();
    const behind = background.behind(() => Promise.reject(new Error('begun')));
    const done = start(1_000);
    await time.pass(20);
    const ended = behind(['docker', 'run', BACKGROUND_LABEL], { signal: stop.signal }).catch(
      (error: Error) => error.name,
    );
    stop.abort();
    await time.pass(3_500);
    expect(await ended).to.equal('AbortError');
    await done;
  });

  it('goes on where a sidecar was killed meanwhile', async () => {
    docker.helper('left', LABELS, 'paused', 0);
    await background.resume();
    expect(states()).to.deep.equal({ backup: 'running', left: 'running' });
  });

  it('goes on when a start fails', async () => {
    const failed = background.during(() => Promise.reject(new Error('no'))).catch(() => 'failed');
    await time.pass(2_500);
    expect(await failed).to.equal('failed');
    expect(states()).to.deep.equal({ backup: 'running' });
  });
});

it('a daemon that does not answer is told of, and fails no start', async () => {
  const errors: unknown[] = [];
  const gone = new Error('gone');
  const background = new Background({
    install: INSTALL,
    api: {
      containers: () => Promise.reject(gone),
      pause: () => Promise.reject(gone),
      unpause: () => Promise.reject(gone),
    },
    onError: (error) => errors.push(error),
  });
  expect(await background.during(async () => 'started')).to.equal('started');
  await background.resume();
  expect(errors).to.deep.equal([gone, gone]);
});
