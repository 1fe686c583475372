import { type RefObject, useLayoutEffect, useState } from 'react';

/** A way from one cluster to another. */
export interface Link {
  kind: 'reads' | 'copies';
  from: string;
  to: string;
  /** By which the line is wide. */
  rate: number;
  text: string;
}

interface Point {
  x: number;
  y: number;
}

/** A bow from one point to another: ways there and back don't cover each other. */
export function bow(a: Point, b: Point): string {
  const [mx, my] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  return `M${a.x} ${a.y} Q${mx - dy * 0.18} ${my + dx * 0.18} ${b.x} ${b.y}`;
}

/** Ten times the rate is one pixel and a half more. */
export const width = (rate: number) => Math.min(8, 1.5 + 1.5 * Math.max(0, Math.log10(1 + rate)));

/** How long a particle takes over a way, in seconds: the more flows, the faster. */
export const pace = (rate: number) => Math.max(0.8, 4 - Math.log10(1 + rate));

/** With more ways than these, nothing moves on them. */
const moving = 60;

/** Whether people let things move. */
export const motion = () => window.matchMedia?.('(prefers-reduced-motion: no-preference)').matches === true;

/** Lines over the map between the cards of clusters; the table of ways says the same. */
export function Edges({ links, within }: { links: Link[]; within: RefObject<HTMLElement | null> }) {
  const [at, setAt] = useState<Map<string, Point>>(new Map());
  useLayoutEffect(() => {
    const map = within.current;
    if (!map) return;
    const measure = () => {
      const base = map.getBoundingClientRect();
      const next = new Map<string, Point>();
      for (const card of map.querySelectorAll<HTMLElement>('[data-clusters]')) {
        const r = card.getBoundingClientRect();
        const point = { x: Math.round(r.left - base.left + r.width - 18), y: Math.round(r.top - base.top + 18) };
        for (const name of card.dataset.clusters?.split(' ') ?? []) next.set(name, point);
      }
      setAt(next);
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(map);
    for (const card of map.querySelectorAll('[data-clusters]')) watch.observe(card);
    return () => watch.disconnect();
  }, [within]);
  const moves = links.length <= moving && motion();
  return (
    <svg className="edges" aria-hidden="true">
      <defs>
        {(['reads', 'copies'] as const).map((kind) => (
          <marker
            key={kind}
            id={`end-of-${kind}`}
            className={kind}
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="8"
            markerHeight="8"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 0 8 4 0 8z" />
          </marker>
        ))}
      </defs>
      {links.map((l) => {
        const [a, b] = [at.get(l.from), at.get(l.to)];
        return (
          a &&
          b &&
          a !== b && (
            <g key={`${l.kind} ${l.from} ${l.to}`}>
              <path className={l.kind} d={bow(a, b)} strokeWidth={width(l.rate)} markerEnd={`url(#end-of-${l.kind})`}>
                <title>{`${l.from} → ${l.to}: ${l.text}`}</title>
              </path>
              {moves && l.rate > 0 && (
                <circle className={l.kind} r={3}>
                  <animateMotion path={bow(a, b)} dur={`${pace(l.rate)}s`} repeatCount="indefinite" />
                </circle>
              )}
            </g>
          )
        );
      })}
    </svg>
  );
}
