import { images } from '../../../stack/images.ts';
import { SwarmCluster } from '../../support/swarm-cluster.ts';

/** How long it may take to form, in milliseconds: the first time, the images are loaded. */
const FORM_TIMEOUT_MS = 600_000;

/** Longer than the cluster waits itself, whose error names the cause. */
const WHOLE_TIMEOUT_MS = 240_000;

let forming: Promise<SwarmCluster> | undefined;

// Of the root: after the last suite that has used it.
after(async function () {
  this.timeout(120_000);
  await (await forming)?.end();
});

/** The cluster that all suites share, whole again before each test of the suite this is called in. @returns a function that returns it */
export function theCluster(): () => SwarmCluster {
  let cluster: SwarmCluster;
  before(async function () {
    this.timeout(FORM_TIMEOUT_MS);
    forming ??= SwarmCluster.form([images.odoo, images.postgres]);
    cluster = await forming;
  });
  // After each, too: what a suite has made is removed by way of the swarm.
  for (const hook of [beforeEach, afterEach])
    hook(async function () {
      this.timeout(WHOLE_TIMEOUT_MS);
      await cluster.whole();
    });
  return () => cluster;
}
