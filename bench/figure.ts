/** One row of the table. */
export interface Figure {
  /** What was measured. */
  readonly title: string;
  readonly value: number;
  /** The 95 % interval of the median; absent where the value is a count. */
  readonly interval?: readonly [low: number, high: number];
  /** `×`, `s`, `ms`, `MB`, `/s`, or '' for a count. */
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** Absent: it is only said. */
  readonly atLeast?: number;
  readonly aim?: number;
}

/** The result of one benchmark. */
export interface Result {
  readonly figures: readonly Figure[];
  /** Every single measurement, for `var/bench/<name>.json`. */
  readonly samples: unknown;
}

/** Whether the value itself, not the better end of its interval, meets the bound, where there is one. */
export function isMet({ value, better, atLeast }: Figure): boolean {
  if (atLeast === undefined) return true;
  return better === 'higher' ? value >= atLeast : value <= atLeast;
}

/** The figures as a Markdown table. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { title, interval, unit, better, atLeast, aim } = figure;
    const sign = better === 'higher' ? '≥' : '≤';
    return [
      title,
      `${number(figure.value)}${unit}`,
      interval ? interval.map(number).join(' … ') : '',
      atLeast === undefined ? '' : `${sign} ${number(atLeast)}${unit}`,
      aim === undefined ? '' : `${sign} ${number(aim)}${unit}`,
      atLeast === undefined ? '' : isMet(figure) ? 'met' : 'MISSED',
    ];
  });
  const head = ['figure', 'measured', '95 % interval', 'at least', 'aim', ''];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function number(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
