import { z } from 'zod';
import { repository } from '../stack/paths.ts';
import { run } from '../stack/run.ts';
import { IN_OWN_NAMESPACES, requireOwnNamespaces } from '../test/support/own-namespaces.ts';
import type { Benchmark } from './benchmark.ts';
import { median } from './statistics.ts';

const answerSchema = z.object({
  starts: z.array(z.object({ usual: z.number(), ours: z.number(), isDisturbed: z.boolean() })),
  fences: z.array(z.number()),
  backs: z.array(z.number()),
  lists: z.array(z.number()),
});

const TIMEOUT_MS = 60 * 60_000;

/** Instances on a Docker Swarm of three nodes, all of them on this machine. */
export const swarm: Benchmark = {
  name: 'swarm',
  about:
    'starts on three nodes beside those with Compose, the fence, a lost node, a list of 1,000 services',
  measure: async ({ pairs = 5, say }) => {
    await requireOwnNamespaces();
    const [program, ...within] = IN_OWN_NAMESPACES;
    const child = ['bench/swarm-in-namespaces.ts', String(pairs)];
    const args = [...within, process.execPath, '--import', 'tsx', ...child];
    say('three nodes are formed on this machine');
    const said = await run(program, args, { cwd: repository, timeout: TIMEOUT_MS });
    const samples = answerSchema.parse(JSON.parse(said.split('\n').at(-1) ?? ''));
    const { backs, fences, lists, starts } = samples;
    const longer = starts.filter((it) => !it.isDisturbed).map(({ ours, usual }) => ours - usual);
    const lower = { better: 'lower', unit: ' s' } as const;
    return {
      figures: [
        { ...lower, title: 'start on swarm − start with Compose', value: median(longer), aim: 2 },
        { ...lower, title: 'fence', value: median(fences), aim: 2 },
        { ...lower, title: 'back after a loss of power', value: median(backs), aim: 60 },
        { ...lower, title: 'list of 1,000 services', value: median(lists), aim: 0.5 },
      ],
      samples,
    };
  },
};
