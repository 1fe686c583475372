import { describe, expect, it } from 'vitest';
import { ago, bytes, counted, curl, percent, span } from './format';

describe('what people read', () => {
  it('tells bytes in binary units', () => {
    expect([0, 1023, 1024, 1536, 150 * 1024, 5 * 1024 ** 4].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '150 KiB', '5.0 TiB']);
  });
  it('counts with the noun', () => {
    expect([counted(0, 'object'), counted(1, 'object'), counted(12345, 'object')]).toEqual(['0 objects', '1 object', '12,345 objects']);
  });
  it('tells spans in their largest unit', () => {
    expect([0, 89_000, 120_000, 2 * 3_600_000, 3 * 86_400_000].map(span)).toEqual(['0 s', '89 s', '2 min', '2 h', '3 d']);
  });
  it('tells how long ago, and what is to come', () => {
    const now = Date.parse('2026-03-04T05:06:07Z');
    expect(ago('2026-03-04T05:06:02Z', now)).toBe('5 s ago');
    expect(ago('2026-03-04T06:36:07Z', now)).toBe('in 2 h');
    expect(ago(null, now)).toBe('never');
  });
  it('never tells more than a whole, and nothing of an unknown one', () => {
    expect([percent(5, 10), percent(15, 10), percent(-1, 10), percent(3, 0)]).toEqual([50, 100, 0, undefined]);
  });
});

describe('commands', () => {
  it('are safe to paste', () => {
    expect(curl('GET', '/fado/buckets')).toBe("curl 'http://localhost:2019/fado/buckets'");
    expect(curl('POST', '/fado/zones', { name: "it's; rm -rf" })).toBe(
      "curl -X 'POST' 'http://localhost:2019/fado/zones' -H 'Content-Type: application/json' -d '{\"name\":\"it'\\''s; rm -rf\"}'".replace(
        "-X 'POST'",
        '-X POST',
      ),
    );
  });
});
