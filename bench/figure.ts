/** One line of the table. */
export interface Figure {
  /** What was measured, in words. */
  readonly title: string;
  readonly value: number;
  /** Of the median, 95 %; left out where the value is a count. */
  readonly interval?: readonly [low: number, high: number];
  /** `×`, `s`, `ms`, `MB`, `/s`, or '' for a count. */
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly atLeast: number;
  readonly aim?: number;
}

/** What one benchmark leaves behind. */
export interface Result {
  readonly figures: readonly Figure[];
  /** Every single measurement, for `var/bench/<name>.json`. */
  readonly samples: unknown;
}

/** Whether what was asked for was reached: the value itself, not its interval's better end. */
export function isMet({ value, better, atLeast }: Figure): boolean {
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
      `${sign} ${number(atLeast)}${unit}`,
      aim === undefined ? '' : `${sign} ${number(aim)}${unit}`,
      isMet(figure) ? 'met' : 'MISSED',
    ];
  });
  const head = ['figure', 'measured', '95 % interval', 'at least', 'aim', ''];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function number(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
