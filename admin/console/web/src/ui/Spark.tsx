import type { Line } from '../pages/history';

const size = { width: 200, height: 36 };

/** The strokes of a line: gaps cut it, and a value alone is a dot. */
export function strokes(values: Line['values'], most: number): string {
  const x = (i: number) => ((i / Math.max(1, values.length - 1)) * size.width).toFixed(1);
  const y = (v: number) => (size.height - 2 - (v / (most || 1)) * (size.height - 4)).toFixed(1);
  return values
    .map((v, i) => {
      if (v === null) return '';
      const alone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
      return `${(values[i - 1] ?? null) === null ? 'M' : 'L'}${x(i)} ${y(v)}${alone ? 'h.1' : ''}`;
    })
    .join('');
}

/** A small plot without axes: the course of some lines in one scale. What it says is in its name. */
export function Spark({ label, lines }: { label: string; lines: Line[] }) {
  const most = Math.max(0, ...lines.flatMap((l) => l.values.map((v) => v ?? 0)));
  return (
    <svg className="spark" role="img" aria-label={label} viewBox={`0 0 ${size.width} ${size.height}`} preserveAspectRatio="none">
      {lines.map((l, i) => (
        <path key={l.label} className={`line-${i % 5}`} d={strokes(l.values, most)} />
      ))}
    </svg>
  );
}
