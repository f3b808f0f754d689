/** The labels on everything that is made for an instance, and on what is made for the sidecar itself. */
export const LABELS = {
  install: 'microsaas.install',
  instance: 'microsaas.instance',
  identity: 'microsaas.identity',
  restart: 'microsaas.restart',
  /** On what belongs to the stack and not to an instance: which part. */
  part: 'microsaas.part',
  digest: 'microsaas.digest',
  /** On what Swarm runs: of the whole specification that it was made from. */
  made: 'microsaas.made',
  /** On a stopped service: what may go on of it, on a node that nobody hears of, was shut out of its database. */
  shutOut: 'microsaas.shut-out',
  /** On a container that does what nobody waits for. */
  background: 'microsaas.background',
  /** On a container that does one thing for the sidecar and ends: which thing. */
  helper: 'microsaas.helper',
} as const;
