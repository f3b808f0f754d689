import { expect } from 'chai';
import { ManagerError, RetryableError } from '../../../src/errors.ts';
import { FakeDoor } from '../../fakes/door.ts';
import { anInstance, aPlan, aRepository } from '../../support/samples.ts';
import { Simulation } from '../../support/simulation.ts';

describe('Controller', () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
  });
  afterEach(() => sim.end());

  const row = (id = 1) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };
  const says = (message: string) => sim.logged.filter((line) => line['msg'] === message);

  it('turns a paid unit into a running instance within a second of the webhook', async () => {
    await sim.start();
    sim.people.pay();
    expect(await sim.untilSettled()).to.be.below(1_000);
    expect(row()).to.include({ state: 'running', reason: 'Running' });
    expect(row().nextReview, 'at least once a day').to.be.below(new Date('2026-11-24'));
    expect(row().subscription).to.include({ startDay: '2026-11-22', endDay: '2026-12-21' });
    expect(row().log.at(-1)).to.match(
      /^2026-11-22 12:01:0\d Answering 0\.\d\d s after the request/,
    );
  });

  it('begins a sale with what its claim has said, and asks Odoo again when that is done', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const since = sim.life.calls.slice(sim.life.calls.indexOf('manager.claim'));
    const looks = since.filter((call) => /manager.desired|databases.clone/.test(call));
    expect(looks).to.deep.equal(['databases.clone', 'manager.desired']);
  });

  describe('asks Odoo anew where somebody changes an instance', () => {
    /** Sells one instance. @param then called when Odoo has claimed it and has not answered yet */
    const sell = (then: () => void) => {
      const claim = sim.manager.claim.bind(sim.manager);
      sim.manager.claim = async (...args) => {
        const claimed = await claim(...args);
        then();
        return claimed;
      };
      sim.people.pay();
    };

    it('before the claim is answered', async () => {
      await sim.start();
      sell(() => sim.people.press(1, 'stop'));
      await sim.untilSettled();
      expect(sim.databases.present.size).to.equal(0);
    });

    it('before it is its turn', async () => {
      await sim.start();
      let release = () => {};
      const held = new Promise<null>((resolve) => {
        release = () => resolve(null);
      });
      sell(() => {
        sim.manager.invoice = () => held;
        for (let other = 100; other < 140; other++) sim.people.nudge(`invoice:${other}`);
      });
      await sim.time.pass(1_000);
      sim.people.press(1, 'stop');
      release();
      await sim.untilSettled();
      expect(sim.databases.present.size).to.equal(0);
    });
  });

  it('creates one instance for a hundred webhooks and a poll about the same invoice', async () => {
    await sim.start();
    const invoice = sim.people.pay();
    for (let i = 0; i < 100; i++) sim.people.nudge(`invoice:${invoice}`);
    await sim.time.pass(60_000);
    await sim.untilSettled();
    expect(sim.manager.rows.size).to.equal(1);
    expect(sim.databases.changes).to.equal(1);
  });

  describe('with a door', () => {
    let door: FakeDoor;
    beforeEach(() => {
      door = new FakeDoor();
      sim.door = door;
    });
    const hosts = () => door.routes?.map(({ subdomain, ports }) => [subdomain, ports?.http ?? 0]);

    /** Starts the sidecar and sells one instance, which the door has then. */
    const sell = async () => {
      await sim.start();
      sim.people.pay();
      await sim.untilSettled();
      await sim.time.pass(1_000);
    };

    it('gives it the names and ports of a sale at once, and again only when they change', async () => {
      await sell();
      expect(hosts()).to.deep.equal([['nandu', 20_000]]);
      const { loads } = door;
      await sim.time.pass(3_600_000, 1_000);
      expect(door.loads).to.equal(loads);
      row().subdomain = 'panaderia';
      sim.people.nudge('instance:1');
      await sim.time.pass(1_000);
      expect(hosts()).to.deep.equal([['panaderia', 20_000]]);
    });

    it('does not touch it when an instance stops, is suspended or fails', async () => {
      await sell();
      const { loads } = door;
      sim.people.press(1, 'stop');
      await sim.untilSettled();
      await sim.time.pass(1_000);
      expect(door.loads).to.equal(loads);
    });

    it('opens it again when it has ended', async () => {
      await sell();
      door.kill();
      await sim.time.pass(1_000);
      expect(hosts()).to.deep.equal([['nandu', 20_000]]);
    });

    it('says once that it cannot be opened and once that it is open again, and sells meanwhile', async () => {
      door.isUsable = false;
      await sim.start();
      sim.people.pay();
      await sim.untilSettled();
      await sim.time.pass(600_000, 1_000);
      expect(row().state).to.equal('running');
      expect(says('the door is not open as it should be; will be tried again')).to.have.length(1);
      door.isUsable = true;
      await sim.time.pass(600_000, 1_000);
      expect(says('the door is open again')).to.have.length(1);
      expect(hosts()).to.deep.equal([['nandu', 20_000]]);
    });

    it('leaves it as it is while the manager’s database is in doubt: names in it may be others’', async () => {
      await sell();
      sim.manager.databaseUuid = 'ffffffff-0000-4000-8000-000000000001';
      await sim.time.pass(600_000, 1_000);
      row().subdomain = 'another';
      sim.people.nudge('instance:1');
      await sim.time.pass(600_000, 1_000);
      expect(hosts()).to.deep.equal([['nandu', 20_000]]);
      door.kill();
      await sim.time.pass(1_000);
      expect([door.isRunning, hosts()], 'it runs again, with what it had').to.deep.equal([
        true,
        undefined,
      ]);
    });

    it('has it run again, with what it had, while the manager is away', async () => {
      await sell();
      sim.manager.isAway = true;
      door.kill();
      await sim.time.pass(1_000);
      expect([door.isRunning, hosts()]).to.deep.equal([true, undefined]);
    });
  });

  it('reports what instances use with the sweeps, and nothing while the manager’s database is in doubt', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await sim.time.pass(600_000, 1_000);
    expect(sim.manager.uses.map(({ id }) => id)).to.deep.equal([1]);
    const said = sim.life.calls.filter((call) => call === 'manager.reportUse').length;
    const sweeps = sim.life.calls.filter((call) => call === 'engine.list').length;
    expect(said, 'one call for each sweep').to.be.within(sweeps - 2, sweeps);
    sim.manager.databaseUuid = 'ffffffff-0000-4000-8000-000000000001';
    await sim.time.pass(1_800_000, 1_000);
    expect(sim.manager.uses).to.have.length(1);
  });

  it('finds by the poll what no webhook announced', async () => {
    await sim.start();
    sim.people.nudge = () => {};
    sim.people.pay(2);
    await sim.untilSettled(31_000);
    expect(sim.manager.rows.size).to.equal(2);
  });

  it('holds too many units, logs it once, and creates them when they are approved', async () => {
    await sim.start();
    const invoice = sim.people.pay(21);
    await sim.time.pass(120_000, 1_000);
    sim.people.nudge(`invoice:${invoice}`);
    await sim.time.pass(1_000);
    expect(sim.manager.rows.size).to.equal(0);
    expect(sim.manager.invoices.get(invoice)?.hold).to.equal('TooManyUnits');
    expect(says('waits for a person')).to.have.length(1);
    sim.people.approve(invoice);
    await sim.untilSettled();
    expect(sim.manager.rows.size).to.equal(21);
  });

  it('changes and writes nothing in an hour of polls and sweeps when all is well', async () => {
    await sim.start();
    sim.people.pay(3);
    await sim.untilSettled();
    const { changes } = sim;
    sim.life.calls.length = 0;
    await sim.time.pass(3_600_000, 1_000);
    expect(sim.changes).to.equal(changes);
    expect(sim.life.calls.filter((call) => call === 'manager.report')).to.deep.equal([]);
  });

  it('does not reconcile again for events of the containers it starts itself', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await sim.time.pass(1_000);
    const looks = sim.life.calls.filter((call) => call === 'engine.observe').length;
    const starts = sim.life.calls.indexOf('databases.clone');
    const since = sim.life.calls.slice(starts).filter((call) => call === 'engine.observe').length;
    expect([looks - since, since]).to.deep.equal([3, 1]);
  });

  it('drops template databases that no plan needs by the sweep', async () => {
    sim.manager.forSale.set(1, aPlan({ id: 1, languages: ['es_ES', 'en_US'] }));
    await sim.start();
    await sim.time.until('prepared', () => sim.databases.templates.size === 2);
    for (const template of sim.databases.templates) sim.databases.stale.add(template);
    sim.manager.forSale.set(1, aPlan({ id: 1, languages: ['es_ES'] }));
    await sim.time.until('dropped', () => sim.databases.templates.size === 1, 301_000);
  });

  it('waits for free memory before a start, reports it, and starts as soon as there is enough', async () => {
    sim.hasMemory = false;
    await sim.start();
    sim.people.pay();
    await sim.time.until('waiting', () => row().reason === 'WaitingForMemory');
    await sim.time.pass(5_000);
    expect(row()).to.include({ reason: 'WaitingForMemory', state: 'draft' });
    sim.hasMemory = true;
    expect(await sim.untilSettled()).to.be.below(1_000);
  });

  it('reports an error when memory stays short, and retries', async () => {
    sim.hasMemory = false;
    await sim.start();
    sim.people.pay();
    await sim.time.until('failed', () => row().state === 'error', 15_000);
    expect(row().reason).to.equal('NotEnoughMemory');
    sim.hasMemory = true;
    await sim.untilSettled();
  });

  it('stops an instance at once that waits for memory', async () => {
    sim.hasMemory = false;
    await sim.start();
    sim.people.pay();
    await sim.time.until('waiting', () => row().reason === 'WaitingForMemory');
    sim.people.press(1, 'stop');
    expect(await sim.untilSettled()).to.be.below(1_000);
  });

  it('starts nothing on a full disk, names the largest instances, and continues when there is space', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const message = 'Only 12 MB are free; 2048 MB are kept.';
    sim.disk.tooLittle = { reason: 'NotEnoughDisk', detail: ['12 MB', '2048 MB'], message };
    sim.disk.sizes.set(1, 3 * 2 ** 30).set(2, 1);
    sim.people.pay();
    await sim.time.until('failed', () => row(2).state === 'error');
    expect(row(2).reason).to.equal('NotEnoughDisk');
    expect(sim.databases.present.has(2)).to.equal(false);
    await sim.time.pass(3_500_000, 1_000);
    const alarm = 'too little free disk space: nothing is sold or started until there is enough';
    const [said, ...others] = says(alarm);
    expect(others, 'said again within an hour').to.deep.equal([]);
    expect(said).to.deep.include({
      largest: [
        { instance: 1, bytes: 3 * 2 ** 30 },
        { instance: 2, bytes: 1 },
      ],
    });
    expect(row(1).log.at(-1)).to.match(/this instance has 3\.0 GB of files\.$/);
    sim.disk.sizes.set(1, 4 * 2 ** 30);
    await sim.time.pass(600_000, 1_000);
    expect(says(alarm).at(-1)?.['largest']).to.deep.include({
      instance: 1,
      bytes: 4 * 2 ** 30,
      grownBy: 2 ** 30,
    });
    sim.disk.tooLittle = null;
    await sim.untilSettled(400_000);
    await sim.time.pass(300_000, 1_000);
    expect(says('the disk has enough free space again')).to.have.length(1);
  });

  it('reports a full disk once, whichever step it failed', async () => {
    await sim.start();
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
    sim.life.failOnce('engine.render', 'before', new Error('render', { cause: full }));
    sim.people.pay();
    await sim.time.until('failed', () => row().state === 'error');
    expect(row().reason).to.equal('NotEnoughDisk');
    await sim.untilSettled();
  });

  it('installs the firewall rules at its start and at each sweep', async () => {
    await sim.start();
    expect(sim.firewall.areThere).to.equal(true);
    sim.firewall.areThere = false; // somebody has flushed them
    await sim.time.until('there again', () => sim.firewall.areThere, 301_000);
  });

  it('works without a firewall where netfilter cannot be used, and logs it once', async () => {
    sim.firewall.isUsable = false;
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await sim.time.pass(1_000_000, 1_000);
    const warning =
      'no firewall rules: instances reach this host and its networks; microsaas doctor says more';
    expect(says(warning)).to.have.length(1);
    sim.firewall.isUsable = true;
    await sim.time.pass(301_000, 1_000);
    expect(says('the firewall rules are in place again')).to.have.length(1);
  });

  it('counts the instances of each state at a sweep', async () => {
    await sim.start();
    expect(sim.controller.states).to.deep.equal([]);
    sim.people.pay(2);
    await sim.untilSettled();
    await sim.time.pass(301_000, 1_000);
    expect(sim.controller.states).to.deep.equal(['running', 'running']);
    expect(sim.controller.backlogSeconds).to.equal(0);
  });

  it('stops an instance at once whose first answer it waits for', async () => {
    sim.engine.silent.add(1);
    await sim.start();
    sim.people.pay();
    await sim.time.until('waiting', () => row().reason === 'WaitingForAnswer');
    sim.people.press(1, 'stop');
    expect(await sim.untilSettled()).to.be.below(1_000);
    expect(row()).to.include({ state: 'stopped', wasReady: false });
  });

  it('works through start, stop, restart and remove', async () => {
    await sim.start();
    const id = sim.people.create();
    await sim.time.pass(1_000);
    expect(sim.changes, 'before Start').to.equal(0);
    for (const [button, state] of [
      ['start', 'running'],
      ['stop', 'stopped'],
      ['start', 'running'],
      ['restart', 'running'],
      ['remove', 'removed'],
    ] as const) {
      sim.people.press(id, button);
      await sim.untilSettled();
      expect(row(id).state, button).to.equal(state);
    }
    expect(row(id)).to.include({ active: false, ports: null });
    expect([...sim.databases.present], 'its data').to.deep.equal([id]);
  });

  it('does after its start what was pressed while it was down', async () => {
    await sim.start();
    sim.people.pay(2);
    await sim.untilSettled();
    await sim.stop();
    sim.people.press(1, 'stop');
    sim.people.press(2, 'restart');
    sim.people.pay();
    await sim.start();
    expect(await sim.untilSettled()).to.be.below(2_000);
  });

  it('starts an instance again whose container dies', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.die(1);
    expect(await sim.untilSettled()).to.be.below(1_000);
  });

  it('unpauses an instance, and stops a paused one that should be stopped', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.pause(1);
    expect(await sim.untilSettled()).to.be.below(1_000);
    sim.engine.happened = () => {};
    sim.people.press(1, 'stop');
    await sim.untilSettled();
    sim.engine.pause(1);
    await sim.untilSettled(301_000);
    expect(sim.engine.projects.get(1)?.containers).to.equal('stopped');
  });

  it('reports missing files as an error, and neither recreates nor archives them', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.emptied.add(1);
    sim.people.press(1, 'restart');
    await sim.time.until('the alarm', () => row().reason === 'FilesMissing', 5_000);
    expect(row()).to.include({ state: 'error' });
    const { changes } = sim;
    await sim.time.pass(600_000, 1_000);
    expect(sim.changes).to.equal(changes);
    sim.people.press(1, 'stop');
    await sim.untilSettled();
    sim.engine.emptied.delete(1);
    sim.people.press(1, 'start');
    await sim.untilSettled();
  });

  it('starts a new sale within seconds while forty instances of another customer hang', async () => {
    await sim.start();
    for (let id = 1; id <= 40; id++) sim.engine.silent.add(id);
    for (let i = 0; i < 40; i++) sim.people.press(sim.people.create({ partnerId: 77 }), 'start');
    await sim.time.pass(3_000);
    sim.people.pay();
    const sold = await sim.time.until('sold', () => row(41).state === 'running', 10_000);
    expect(sold).to.be.below(6_000);
  });

  it('restarts a hung instance within minutes, once, and reports it', async () => {
    await sim.start();
    sim.people.pay(3);
    await sim.untilSettled();
    await sim.time.pass(300_000, 1_000);
    sim.engine.hang(2);
    sim.engine.curable.add(2);
    const restarts = () => sim.life.calls.filter((call) => call === 'engine.restart').length;
    const passed = await sim.time.until('restarted', () => restarts() === 1, 400_000);
    expect(passed).to.be.within(180_000, 330_000);
    await sim.untilSettled();
    await sim.time.pass(1_000);
    expect(row(2).log.join('\n')).to.include(' Restarting Silent\n');
    await sim.time.pass(600_000, 1_000);
    expect(restarts()).to.equal(1);
  });

  it('reports which port another program took while a hung instance was restarted', async () => {
    await sim.start();
    sim.people.pay(3);
    await sim.untilSettled();
    await sim.time.pass(300_000, 1_000);
    const before = row(2).ports;
    const http = before?.http ?? 0;
    sim.life.trap((call, moment) => {
      if (call === 'engine.restart' && moment === 'before') sim.engine.foreignPorts.add(http);
    });
    sim.engine.hang(2);
    await sim.time.until('the alarm', () => row(2).state === 'error', 800_000);
    expect(row(2)).to.deep.include({ reason: 'PortTaken', ports: before });
    expect(row(2).detail).to.equal(String(http));
  });

  it('reports an error when a restart does not help, and clears it when the instance answers', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.life.trap((call, moment) => {
      if (call === 'engine.awaitListening' && moment === 'before' && sim.engine.silent.has(1))
        throw new RetryableError('NotAnswering', 'The instance was started but does not answer.');
    });
    sim.engine.hang(1);
    await sim.time.until('the alarm', () => row().state === 'error', 800_000);
    expect(row().reason).to.equal('NotAnswering');
    await sim.time.pass(600_000, 1_000);
    const restarts = sim.life.calls.filter((call) => call === 'engine.restart').length;
    expect(restarts).to.equal(1);
    sim.engine.silent.clear();
    await sim.untilSettled(301_000);
  });

  it('restarts none when all are unresponsive together: it logs that the host is the cause', async () => {
    await sim.start();
    sim.people.pay(6);
    await sim.untilSettled();
    await sim.time.pass(300_000, 1_000);
    for (let id = 1; id <= 6; id++) sim.engine.hang(id);
    await sim.time.pass(1_200_000, 1_000);
    expect(sim.life.calls).not.to.include('engine.restart');
    expect(
      says('so many instances do not answer that the host must be the cause: none is restarted'),
    ).to.have.length(1);
  });

  for (const [what, lose, reason] of [
    ['files', (it: Simulation) => void it.engine.emptied.add(1), 'FilesMissing'],
    ['database', (it: Simulation) => void it.databases.present.delete(1), 'DatabaseMissing'],
  ] as const)
    it(`detects within minutes that the ${what} of a running instance are missing, and reports it once`, async () => {
      await sim.start();
      sim.people.pay();
      await sim.untilSettled();
      await sim.time.pass(310_000, 1_000);
      lose(sim);
      await sim.time.until('the alarm', () => row().reason === reason, 320_000);
      await sim.time.pass(5_000);
      sim.life.calls.length = 0;
      await sim.time.pass(900_000, 1_000);
      expect(sim.life.calls).not.to.include('manager.report');
      sim.engine.emptied.clear();
      sim.databases.present.add(1);
      if (reason === 'FilesMissing') await sim.untilSettled(301_000);
    });

  it('removes helper containers of a killed sidecar by the sweep', async () => {
    sim.engine.helpers.push('left over');
    await sim.start();
    await sim.time.until('removed', () => sim.engine.helpers.length === 0, 1_000);
    expect(says('removed what a killed sidecar had left')).to.have.length(1);
  });

  it('finds by the sweep what no Docker event announced', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.happened = () => {};
    sim.engine.die(1);
    await sim.untilSettled(300_000);
  });

  it('knows without asking anybody how it does', async () => {
    sim.manager.mail.failedMails = 4;
    await sim.start();
    sim.people.pay(2);
    await sim.untilSettled();
    await sim.time.pass(301_000, 1_000);
    const calls = sim.life.calls.length;
    const { beats, down, failedMails, orphans, queues, silent } = sim.controller.vitals;
    expect(sim.life.calls).to.have.length(calls);
    expect({ failedMails, orphans, silent }).to.deep.equal({
      failedMails: 4,
      orphans: 0,
      silent: 0,
    });
    expect(queues.instances).to.deep.equal({ keys: 0, ageSeconds: 0, failing: 0 });
    expect([...down]).to.deep.equal([]);
    const age = (loop: 'poll' | 'sweep' | 'liveness') =>
      sim.time.now().getTime() / 1000 - (beats.get(loop) ?? 0);
    expect(age('poll')).to.be.below(31);
    expect(age('sweep')).to.be.below(301);
    expect(age('liveness')).to.be.below(2);
  });

  it('says that it cannot work while Odoo is away, and what fails', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const before = sim.controller.vitals.beats.get('poll');
    sim.manager.isAway = true;
    await sim.time.pass(61_000, 1_000);
    expect([...sim.controller.vitals.down]).to.deep.equal(['odoo']);
    expect(sim.controller.vitals.beats.get('poll')).to.equal(before);
    sim.manager.isAway = false;
    Object.assign(row(), { state: 'error', reason: 'CrashLoop' });
    await sim.time.pass(361_000, 1_000);
    expect([...sim.controller.vitals.down]).to.deep.equal([]);
  });

  it('counts what it mends, and how long a sale takes, once each', async () => {
    const met: string[] = [];
    sim.meter = {
      usable: (seconds) => met.push(`usable ${seconds < 2}`),
      mended: (drift) => met.push(drift),
    };
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    expect(met).to.deep.equal(['usable true']);
    sim.engine.die(1);
    await sim.untilSettled();
    await sim.time.pass(301_000, 1_000);
    expect(met).to.deep.equal(['usable true', 'ContainersEnded']);
    sim.people.press(1, 'stop');
    await sim.untilSettled();
    sim.people.press(1, 'start');
    await sim.untilSettled();
    expect(met).to.have.length(2);
  });

  it('counts what is gone only while its answer is waited for: Docker was still removing it', async () => {
    const met: string[] = [];
    sim.meter = { usable: () => {}, mended: (drift) => met.push(drift) };
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const waits = sim.engine.awaitListening.bind(sim.engine);
    sim.engine.awaitListening = async ({ id }) => {
      sim.engine.awaitListening = waits;
      // Long enough for Odoo to show it.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      sim.engine.die(id);
      return false;
    };
    Object.assign(sim.engine.projects.get(1) ?? {}, { isAnswering: false });
    sim.people.nudge('instance:1');
    await sim.untilSettled();
    expect(met).to.deep.equal(['ContainersEnded']);
    expect(row()).to.include({ state: 'running' });
  });

  it('leaves orphans alone, and names each once', async () => {
    await sim.engine.render(anInstance({ id: 99 }));
    await sim.engine.start(anInstance({ id: 99 }));
    const { changes } = sim;
    await sim.start();
    await sim.time.pass(900_000, 1_000);
    expect(sim.changes).to.equal(changes);
    expect(says('orphan: containers of ours that Odoo does not know')).to.have.length(1);
  });

  it('logs once that Odoo is unavailable and once that it is back, and continues', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.manager.isAway = true;
    sim.engine.die(1);
    await sim.time.pass(600_000, 1_000);
    expect(says('away, will be tried again')).to.have.length(1);
    sim.manager.isAway = false;
    sim.people.nudge = () => {};
    sim.people.pay();
    await sim.untilSettled(301_000);
    expect(says('back again').map((line) => line['who'])).to.deep.equal(['Odoo']);
    expect(says('failed, will be tried again')).to.deep.equal([]);
  });

  it('waits for Docker and then continues', async () => {
    await sim.start();
    sim.engine.isAway = true;
    sim.people.pay();
    await sim.time.until('error', () => row().state === 'error', 5_000);
    expect(row()).to.include({ reason: 'DockerUnavailable', detail: '' });
    sim.engine.comeBack();
    await sim.untilSettled(60_000);
  });

  it('logs once that Postgres is unavailable, and again at the next outage', async () => {
    await sim.start();
    for (const id of [1, 2]) {
      sim.databases.isAway = true;
      sim.people.pay();
      await sim.time.pass(20_000);
      sim.databases.isAway = false;
      sim.people.press(id, 'start');
      await sim.untilSettled(320_000);
      await sim.time.pass(1_000);
    }
    const said = (message: string) => says(message).map((line) => line['who']);
    expect(said('away, will be tried again')).to.deep.equal(['Postgres', 'Postgres']);
    expect(said('back again')).to.deep.equal(['Postgres', 'Postgres']);
  });

  it('refills the clone pool after a sale', async () => {
    await sim.start();
    sim.people.pay();
    await sim.time.until('sold', () => sim.databases.usedSpares === 1, 5_000);
    await sim.untilSettled();
    await sim.time.pass(1_000);
    expect(sim.databases.usedSpares, 'the customer’s start has the processors').to.equal(1);
    await sim.time.until('stocked', () => sim.databases.usedSpares === 0, 5_000);
  });

  it("builds a plan's template databases before its first customer pays", async () => {
    const plan = aPlan();
    await sim.start();
    sim.manager.forSale.set(plan.id, plan);
    sim.people.nudge(`plan:${plan.id}`);
    await sim.time.until('ready', () => sim.manager.planReports.has(plan.id), 1_000);
    expect(sim.manager.planReports.get(plan.id)).to.deep.equal({
      isReady: true,
      reason: '',
      detail: '',
    });
    expect(sim.databases.templates.size).to.equal(plan.languages.length);
  });

  it('reports on the plan what of its repositories cannot be used, each on a line', async () => {
    const plan = aPlan();
    const fetch = sim.engine.fetchRepositories.bind(sim.engine);
    sim.engine.fetchRepositories = async (...args) => ({
      ...(await fetch(...args)),
      remarks: [
        { reason: 'SubmodulesLeftOut', detail: 'https://example.com/a\nsub, other' },
        { reason: 'PackagesMissing', detail: 'https://example.com/a\nnumpy' },
      ],
    });
    await sim.start();
    sim.manager.forSale.set(plan.id, plan);
    sim.people.nudge(`plan:${plan.id}`);
    await sim.time.until('ready', () => sim.manager.planReports.has(plan.id), 1_000);
    expect(sim.manager.planReports.get(plan.id)).to.deep.equal({
      isReady: true,
      reason: 'Remarks',
      detail:
        'SubmodulesLeftOut https://example.com/a sub, other\nPackagesMissing https://example.com/a numpy',
    });
  });

  it('reports on the plan what only a person can fix, and continues', async () => {
    sim.manager.forSale.set(5, aPlan({ modules: ['no_such_module'] }));
    await sim.start();
    await sim.time.until('said', () => sim.manager.planReports.has(5), 1_000);
    expect(sim.manager.planReports.get(5)).to.deep.equal({
      isReady: false,
      reason: 'ModulesMissing',
      detail: 'no_such_module',
    });
    expect(says('failed, will be tried again')).to.deep.equal([]);
  });

  it('backs off from a failing instance, and retries at once when a person presses Start', async () => {
    await sim.start();
    sim.databases.isAway = true;
    sim.people.pay();
    await sim.time.pass(600_000, 1_000);
    const tries = sim.life.calls.filter((call) => call === 'databases.observe').length;
    expect(tries).to.be.within(8, 14);
    sim.databases.isAway = false;
    sim.people.press(1, 'start');
    expect(await sim.untilSettled()).to.be.below(1_000);
  });

  it('backs off also when a failing instance’s containers emit events', async () => {
    await sim.start();
    sim.life.trap((call, moment) => {
      if (call === 'engine.awaitListening' && moment === 'before') {
        sim.engine.happened(1);
        throw new Error('it crashed');
      }
    });
    sim.people.pay();
    await sim.time.pass(60_000, 100);
    const tries = sim.life.calls.filter((call) => call === 'engine.awaitListening').length;
    expect(tries).to.be.within(4, 10);
  });

  it('continues with the others when one is stalled', async () => {
    const repository = aRepository({ url: 'https://gone.example.com/x' });
    sim.engine.brokenRepositories.set(repository.url, new Error('gone'));
    await sim.start();
    const broken = sim.people.create({ repositories: [repository] });
    sim.people.press(broken, 'start');
    sim.people.pay();
    const states = () => [...sim.manager.rows.values()].map(({ state }) => state).join();
    await sim.time.until('one failed, one runs', () => states() === 'error,running', 1_000);
    expect(row(broken).reason).to.equal('Unexpected');
  });

  it('uses the next pair when a port is taken between its check and the start, and logs it', async () => {
    sim.engine.stolenPorts.add(40_000);
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    expect(row().ports).to.deep.equal({ http: 20_001, longpolling: 40_001 });
    expect(row().log.join('\n')).to.include('Port 20000 or 40000 is taken; using the next pair.');
  });

  it('reports a failure that only a person can fix also when Odoo is unavailable at that moment', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.databases.present.delete(1);
    sim.life.failOnce('manager.report', 'before', new ManagerError('transport', 'away'));
    sim.engine.die(1);
    await sim.time.until('the alarm', () => row().reason === 'DatabaseMissing', 300_000);
  });

  it('takes back the sentence of a step in which it was stopped, though the instance answers by the next start', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.silent.add(1);
    sim.engine.die(1);
    await sim.time.until('a wait', () => row().reason === 'WaitingForAnswer', 60_000);
    await sim.stop();
    expect(row().state).to.equal('running');
    sim.engine.silent.delete(1);
    Object.assign(sim.engine.projects.get(1) ?? {}, { isAnswering: true });
    await sim.start();
    await sim.time.until('the truth', () => row().reason === 'Running', 10_000);
  });

  it('can be stopped twice, and accepts no keys afterwards', async () => {
    await sim.start();
    const { controller: daemon } = sim;
    await sim.stop();
    await daemon.stop();
    daemon.addNow(['invoice:1']);
    expect(daemon.backlog).to.equal(0);
  });
});
