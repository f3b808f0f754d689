/** One thing that the doctor looks at. */
export interface Check {
  readonly name: string;
  /** Resolves with what was found. */
  readonly probe: () => Promise<string>;
  readonly fix: string;
}

/** Should be fixed, though everything works as it is. */
export class Warning extends Error {}
