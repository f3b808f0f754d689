import { once } from 'node:events';
import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import { FakeDoor } from '../../fakes/door.ts';
import { Life } from '../../fakes/life.ts';
import { audit } from '../../support/audit.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('sleep and wake', () => {
  let sim: Simulation;
  let door: FakeDoor;
  beforeEach(async () => {
    sim = new Simulation();
    door = new FakeDoor();
    sim.door = door;
  });
  afterEach(() => sim.end());

  const row = (id = 1) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };
  const containers = (id = 1) => sim.engine.projects.get(id)?.containers;
  const starts = () => sim.life.calls.filter((call) => call === 'engine.start').length;
  const seconds = () => sim.time.now().getTime() / 1000;

  /** Sells an instance whose plan sleeps after an hour. */
  const sell = async (templateCode = 'odoo') => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    Object.assign(row(), { sleepHours: 1, templateCode });
    sim.people.nudge('instance:1');
    await sim.time.pass(1_000);
  };
  const fallAsleep = async () => {
    await sell();
    await sim.time.pass(HOUR + 2 * MINUTE, 1_000);
    expect(containers()).to.equal('stopped');
    expect(row().isAsleep).to.equal(true);
  };

  it('stops what nobody has used for the hours of its plan, and says that it is running and asleep', async () => {
    await fallAsleep();
    expect(row()).to.include({ state: 'running', reason: 'Asleep', desiredState: 'running' });
    expect(row().wakeAt).to.be.within(seconds(), seconds() + 24 * 3600);
    expect(row().lastRequestAt).to.be.above(0);
    await sim.untilSettled();
  });

  it('stops nothing whose plan says nothing, or without a door', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await sim.time.pass(3 * HOUR, 1_000);
    expect(containers()).to.equal('running');
    await sim.stop();
    sim.door = null;
    await sim.start();
    row().sleepHours = 1;
    await sim.time.pass(3 * HOUR, 1_000);
    expect(containers()).to.equal('running');
  });

  it('stays awake as long as somebody comes', async () => {
    await sell();
    for (let i = 0; i < 6; i++) {
      await sim.time.pass(HOUR / 2, 1_000);
      door.visit({});
    }
    expect(containers()).to.equal('running');
    expect(row().lastRequestAt, 'reported about hourly').to.be.above(seconds() - 2 * 3600);
  });

  it('is not kept awake by open tabs, static files, robots and refused requests', async () => {
    await sell();
    for (let i = 0; i < 6; i++) {
      await sim.time.pass(HOUR / 4, 1_000);
      door.visit({ path: '/websocket', status: 101 });
      door.visit({ path: '/websocket/peek_notifications' });
      door.visit({ path: '/web/static/img/logo.png' });
      door.visit({ path: '/web/assets/1/x.min.js' });
      door.visit({ path: '/robots.txt' });
      door.visit({ path: '/favicon.ico' });
      door.visit({ path: '/wp-login.php', status: 404 });
      door.visit({ host: 'nobody.example.com' });
    }
    expect(row().isAsleep).to.equal(true);
  });

  it('asks neither Odoo nor Docker for each request', async () => {
    await sell();
    const before = sim.life.calls.length;
    for (let i = 0; i < 1_000; i++) door.visit({});
    await sim.time.pass(1_000);
    expect(sim.life.calls.length - before, 'but for a poll').to.be.below(10);
  });

  it('is woken by a visitor, and sleeps again after its hours', async () => {
    await fallAsleep();
    expect(sim.controller.isAsleep(1)).to.equal(true);
    const woken = sim.controller.wake(1, 30_000);
    await sim.time.until('it is woken', () => containers() === 'running');
    await sim.time.pass(1_000);
    expect(await woken).to.equal('answers');
    expect(row()).to.include({ isAsleep: false, state: 'running', reason: 'Running' });
    expect(sim.controller.isAsleep(1)).to.equal(false);
    await sim.time.pass(HOUR / 2, 1_000);
    expect(row().isAsleep).to.equal(false);
    await sim.time.pass(HOUR, 1_000);
    expect(row().isAsleep).to.equal(true);
  });

  it('starts once for a thousand visitors', async () => {
    await fallAsleep();
    const before = starts();
    const visitors = Array.from({ length: 1_000 }, () => sim.controller.wake(1, 30_000));
    await sim.time.pass(2_000);
    expect(new Set(await Promise.all(visitors))).to.deep.equal(new Set(['answers']));
    await sim.time.pass(MINUTE);
    expect(starts() - before).to.equal(1);
  });

  it('is woken by a visitor of the very moment in which it falls asleep', async () => {
    await sell();
    let woken: Promise<unknown> | undefined;
    sim.life.trap((call, moment) => {
      // That of the sleep: nothing is read again after it.
      if (call === 'manager.report' && moment === 'before' && containers() === 'stopped')
        woken ??= sim.controller.wake(1, 30_000);
    });
    await sim.time.pass(HOUR + 2 * MINUTE, 1_000);
    expect(await woken).to.equal('answers');
    expect(containers()).to.equal('running');
  });

  it('sends a visitor on as soon as it answers at all, before its login page has', async () => {
    await fallAsleep();
    sim.engine.awaitLogin = (_desired, signal) => once(signal, 'abort').then(() => false);
    const woken = sim.controller.wake(1, 30_000);
    await sim.time.pass(2_000);
    expect(sim.life.calls).to.include('engine.awaitLogin');
    expect(await Promise.race([woken, 'still held'])).to.equal('answers');
  });

  it('asks many tenants what work they have without a worker for each: the others’ go on', async () => {
    await sim.start();
    const invoice = sim.people.pay(40);
    await sim.time.pass(1_000);
    sim.people.approve(invoice);
    await sim.untilSettled();
    for (const each of sim.manager.rows.values()) each.sleepHours = 1;
    const answers: Array<() => void> = [];
    sim.databases.nextWork = () => new Promise((resolve) => answers.push(() => resolve(null)));
    await sim.time.pass(HOUR + 10 * MINUTE, 1_000);
    sim.people.pay();
    await sim.time.until(
      'another is sold',
      () => sim.manager.rows.get(41)?.state === 'running',
      10_000,
    );
    expect(answers.length, 'all were asked, each in its turn').to.equal(40);
    for (const answer of answers) answer();
  });

  it('does not forget the visits that it reads in the log before it knows the names', async () => {
    await sell();
    await sim.time.pass(HOUR / 2, 1_000);
    await sim.stop();
    const life = new Life();
    life.failOnce('manager.routes', 'before', new RetryableError('Unexpected', 'no'));
    const started = sim.start(life);
    door.visit({ at: sim.time.now().getTime() });
    await started;
    await sim.time.pass(HOUR - MINUTE, 1_000);
    expect(containers()).to.equal('running');
    await sim.time.pass(2 * MINUTE, 1_000);
    expect(containers()).to.equal('stopped');
  });

  it('does not hold a visitor for longer than asked, and goes on waking', async () => {
    await fallAsleep();
    sim.engine.silent.add(1);
    const woken = sim.controller.wake(1, 1_000);
    await sim.time.pass(1_200);
    expect(await woken).to.equal('waking');
    sim.engine.silent.delete(1);
    await sim.time.pass(HOUR / 4, 1_000);
    expect(row().isAsleep).to.equal(false);
    expect(containers()).to.equal('running');
  });

  it('tells a thousand visitors at once of a start that has failed, without another start', async () => {
    await fallAsleep();
    sim.life.failOnce('engine.start', 'before', new RetryableError('StartFailed', 'no'));
    const before = starts();
    const visitors = Array.from({ length: 500 }, () => sim.controller.wake(1, 30_000));
    await sim.time.pass(200);
    visitors.push(...Array.from({ length: 500 }, () => sim.controller.wake(1, 30_000)));
    expect(new Set(await Promise.all(visitors))).to.deep.equal(new Set(['failed']));
    expect(starts() - before).to.equal(1);
    expect(row()).to.include({ state: 'error', isAsleep: false });
    await sim.untilSettled();
    expect(row().state).to.equal('running');
  });

  it('is neither woken nor asked about by sweeps, and a daily review leaves it asleep', async () => {
    await fallAsleep();
    const before = starts();
    await sim.time.pass(10 * MINUTE, 1_000);
    const observed = () => sim.life.calls.filter((call) => call === 'engine.observe').length;
    const at = observed();
    await sim.time.pass(20 * MINUTE, 1_000);
    expect(observed()).to.equal(at);
    sim.manager.review(1, sim.time.now());
    await sim.time.pass(MINUTE, 1_000);
    expect(observed()).to.be.above(at);
    expect(starts()).to.equal(before);
    expect(row()).to.include({ isAsleep: true, state: 'running' });
  });

  it('stops it again when somebody starts its containers by hand', async () => {
    await fallAsleep();
    const project = sim.engine.projects.get(1);
    if (project) project.containers = 'running';
    await sim.time.pass(6 * MINUTE, 1_000);
    expect(containers()).to.equal('stopped');
  });

  it('does not take many that fall asleep at once for a fault of the host', async () => {
    await sim.start();
    sim.people.pay(20);
    await sim.untilSettled();
    await sim.time.pass(6 * MINUTE, 1_000);
    for (const each of sim.manager.rows.values()) each.sleepHours = 1;
    await sim.time.pass(HOUR + 10 * MINUTE, 1_000);
    expect([...sim.manager.rows.values()].every(({ isAsleep }) => isAsleep)).to.equal(true);
    const faults = sim.logged.filter(({ msg }) =>
      String(msg).includes('the host must be the cause'),
    );
    expect(faults).to.deep.equal([]);
  });

  describe('its own work', () => {
    it('wakes it when it is due, for ten minutes at least', async () => {
      await sell();
      sim.databases.work.set(1, new Date(sim.time.now().getTime() + 3 * HOUR));
      await sim.time.pass(HOUR + 2 * MINUTE, 1_000);
      expect(row().isAsleep).to.equal(true);
      sim.databases.work.delete(1);
      await sim.time.pass(2 * HOUR, 1_000);
      expect(containers()).to.equal('running');
      expect(row().isAsleep).to.equal(false);
      await sim.time.pass(5 * MINUTE, 1_000);
      expect(containers()).to.equal('running');
      await sim.time.pass(8 * MINUTE, 1_000);
      expect(containers()).to.equal('stopped');
    });

    it('keeps it awake while it is due soon, and as long as it fetches mail', async () => {
      await sell();
      sim.databases.work.set(1, 'always');
      await sim.time.pass(5 * HOUR, 1_000);
      expect(containers()).to.equal('running');
      sim.databases.work.delete(1);
      await sim.time.pass(2 * HOUR, 1_000);
      expect(containers()).to.equal('stopped');
    });

    it('wakes it though the sidecar was away at the time', async () => {
      await fallAsleep();
      row().wakeAt = seconds() + 60;
      await sim.stop();
      await sim.time.pass(3 * HOUR, 60_000);
      await sim.start();
      await sim.time.pass(2 * MINUTE, 1_000);
      expect(row().isAsleep).to.equal(false);
      expect(containers()).to.equal('running');
    });
  });

  describe('what people do', () => {
    for (const [button, state] of [
      ['stop', 'stopped'],
      ['remove', 'removed'],
    ] as const)
      it(`${button} while it is asleep is done, and it is asleep no more`, async () => {
        await fallAsleep();
        sim.people.press(1, button);
        await sim.time.pass(5_000);
        expect(row()).to.include({ state, isAsleep: false });
      });

    it('restart while it is asleep wakes it', async () => {
      await fallAsleep();
      sim.people.press(1, 'restart');
      await sim.time.pass(5_000);
      expect(row()).to.include({ state: 'running', isAsleep: false });
      expect(containers()).to.equal('running');
    });

    it('a plan that does not sleep any more wakes it', async () => {
      await fallAsleep();
      row().sleepHours = 0;
      await sim.time.pass(6 * MINUTE, 1_000);
      expect(row().isAsleep).to.equal(false);
      expect(containers()).to.equal('running');
    });
  });

  describe('a sidecar that is killed', () => {
    const settle = async () => {
      await sim.restart();
      await sim.time.pass(15 * MINUTE, 1_000);
      audit(sim);
    };

    for (const moment of ['before', 'after'] as const) {
      it(`${moment} each call of falling asleep: it is asleep in the end`, async () => {
        await sell();
        const calls = sim.life.calls.length;
        await sim.time.pass(HOUR + 2 * MINUTE, 1_000);
        expect(row().isAsleep).to.equal(true);
        const names = sim.life.calls.slice(calls);
        for (const call of ['databases.nextWork', 'manager.report', 'engine.stop']) {
          expect(names).to.include(call);
          await sim.end();
          sim = new Simulation();
          door = new FakeDoor();
          sim.door = door;
          await sell();
          const { life } = sim;
          life.trap((name, at) => {
            if (
              name === call &&
              at === moment &&
              sim.time.now().getTime() / 1000 - row().requestedAt > 3_000
            )
              life.kill();
          });
          await sim.time.pass(HOUR + 2 * MINUTE, 1_000);
          expect(life.isOver, call).to.equal(true);
          await settle();
          expect(row(), call).to.include({ isAsleep: true, state: 'running' });
          expect(containers(), call).to.equal('stopped');
        }
      });

      it(`${moment} each call of waking: the next visit finds it answering`, async () => {
        for (const call of [
          'manager.desired',
          'engine.start',
          'engine.awaitLogin',
          'manager.report',
        ]) {
          await sim.end();
          sim = new Simulation();
          door = new FakeDoor();
          sim.door = door;
          await fallAsleep();
          const { life } = sim;
          life.trap((name, at) => {
            if (name === call && at === moment) life.kill();
          });
          void sim.controller.wake(1, 1_000);
          await sim.time.pass(2_000);
          expect(life.isOver, call).to.equal(true);
          await sim.restart(new Life());
          await sim.time.pass(2_000);
          void sim.controller.wake(1, 1_000);
          await sim.time.pass(5_000);
          expect(row(), call).to.include({ isAsleep: false, state: 'running' });
          expect(containers(), call).to.equal('running');
        }
      });
    }
  });
});
