/** Figures of several rounds as an aligned table: medians, their ratio, how far rounds were apart, and the goal. */

/** What was measured of both servers in each round. A goal is a most for the ratio, or for hubbub's own figure. */
export type Row = { name: string; bare: number[]; hubbub: number[]; ratioGoal?: number; ownGoal?: number }

/** Returns the middle one, or the mean of the two in the middle. */
export const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2
}

/** Writes rows as an aligned table; `ratios` are the least and the most that one round gave. */
export const table = (rows: Row[]): string => {
  const lines = [['', 'bare', 'hubbub', 'ratio', 'rounds', 'goal'], ...rows.map(cells)]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const aligned = (cell: string, column: number) =>
    column === 0 || column > 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map((line) => line.map(aligned).join('  ').trimEnd()).join('\n')
}

const cells = ({ name, bare, hubbub, ratioGoal, ownGoal }: Row): string[] => {
  const ratio = median(hubbub) / median(bare)
  const ratios = hubbub.map((figure, round) => figure / (bare[round] ?? Number.NaN))
  return [
    name,
    figure(median(bare)),
    figure(median(hubbub)),
    ratio.toFixed(2),
    `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
    ratioGoal !== undefined
      ? verdict(ratio, ratioGoal, '×')
      : ownGoal !== undefined
        ? verdict(median(hubbub), ownGoal)
        : '',
  ]
}

const figure = (value: number): string => value.toFixed(value < 10 ? 2 : 1)

const verdict = (value: number, goal: number, unit = ''): string =>
  `≤ ${goal}${unit} ${value <= goal ? 'met' : 'missed'}`
