import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { usePref } from '../prefs';
import { useTheme } from '../theme';
import { When } from '../ui/kit';
import { known, type Line } from './history';

/** The colours of lines, by the page's own; more lines than colours differ by their dashes. */
const colours = ['--accent', '--busy', '--warn', '--bad', '--quiet'];

/** Lines over time. What a screen reader and a printer get is beside it. */
export default function Plot({
  from,
  step,
  lines,
  unit,
  marks,
}: {
  from: number;
  step: number;
  lines: Line[];
  unit: (v: number) => string;
  /** Times at which something happened, in seconds. */
  marks: number[];
}) {
  const at = useRef(marks);
  at.current = marks;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const theme = useTheme();
  const clock = usePref('clock');
  // The value that the cursor is at, in this figure or in another one.
  const [pointed, setPointed] = useState<number | null>(null);
  const names = lines.map((l) => l.label).join('\n');

  // biome-ignore lint/correctness/useExhaustiveDependencies: made again where lines or colours are others
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    const css = getComputedStyle(document.documentElement);
    const ink = css.getPropertyValue('--quiet');
    const axis = {
      stroke: ink,
      grid: { stroke: css.getPropertyValue('--line'), width: 1 },
      ticks: { show: false },
      font: `11px ${css.getPropertyValue('--font')}`,
    };
    const made = new uPlot(
      {
        width: place.clientWidth,
        height: 180,
        tzDate: (s) => (clock === 'utc' ? uPlot.tzDate(new Date(s * 1000), 'Etc/UTC') : new Date(s * 1000)),
        legend: { show: false },
        cursor: { sync: { key: 'metrics' }, y: false },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
        hooks: { setCursor: [(u) => setPointed(u.cursor.idx ?? null)], drawAxes: [(u) => draw(u, at.current, css.getPropertyValue('--warn'))] },
        axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map(unit) }],
        series: [
          {},
          ...lines.map((l, i) => ({
            label: l.label,
            stroke: css.getPropertyValue(colours[i % colours.length]),
            width: 1.5,
            dash: i < colours.length ? undefined : [6, 4],
            points: { show: false },
          })),
        ],
      },
      data(from, step, lines),
      place,
    );
    plot.current = made;
    const size = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height: 180 }));
    size.observe(place);
    return () => {
      size.disconnect();
      made.destroy();
    };
  }, [names, theme, clock]);

  useEffect(() => plot.current?.setData(data(from, step, lines)), [from, step, lines]);
  return (
    <div aria-hidden="true">
      <div ref={box} className="plot" />
      <p className="readout quiet" style={{ minHeight: 20 * Math.ceil((lines.length + 1) / 4) }}>
        {pointed !== null && pointed < (lines[0]?.values.length ?? 0) && (
          <>
            <When time={(from + pointed * step) * 1000} />
            {lines.map((l, i) => (
              <span key={l.label}>
                <i className={`line-${i % colours.length}`} /> {l.label}: {known(l.values[pointed], unit)}
              </span>
            ))}
          </>
        )}
      </p>
    </div>
  );
}

/** Upright lines where something happened. */
function draw({ ctx, bbox, valToPos }: uPlot, marks: number[], colour: string): void {
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash([3, 3]);
  for (const time of marks) {
    const x = Math.round(valToPos(time, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function data(from: number, step: number, lines: Line[]): uPlot.AlignedData {
  const n = lines[0]?.values.length ?? 0;
  return [Array.from({ length: n }, (_, i) => from + i * step), ...lines.map((l) => l.values)];
}
