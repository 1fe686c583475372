import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** The folder of the package that a module is of. */
function packageOf(id: string): string | undefined {
  const file = id.replace(/^\0/, '').split('?')[0];
  if (!file.includes('/node_modules/')) return undefined;
  for (let dir = dirname(file); dir.includes('/node_modules/'); dir = dirname(dir)) {
    const manifest = join(dir, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version) return dir;
  }
  return undefined;
}

/** Writes the licences of every package that is bundled, in the order of their names. */
function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const dirs = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of Object.keys(chunk.modules)) {
          const dir = packageOf(id);
          if (dir) dirs.add(dir);
        }
      }
      const texts = [...dirs].map((dir) => {
        const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
        const file = readdirSync(dir)
          .sort()
          .find((f) => /^licen[cs]e/i.test(f));
        const text = file ? readFileSync(join(dir, file), 'utf8').trim() : `Licence: ${license}`;
        return `${name} ${version} (${license})\n\n${text}\n`;
      });
      const rule = `\n${'-'.repeat(72)}\n\n`;
      this.emitFile({ type: 'asset', fileName: 'LICENCES.txt', source: texts.sort().join(rule) });
    },
  };
}

/** What says of a module which others it imports at once. */
interface Graph {
  getModuleInfo(id: string): { importedIds: readonly string[] } | null;
}

/** The modules that a file needs at once. */
function needed(file: string, graph: Graph): Set<string> {
  const seen = new Set<string>();
  const visit = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const next of graph.getModuleInfo(id)?.importedIds ?? []) visit(next);
  };
  visit(join(import.meta.dirname, 'src', file));
  return seen;
}

/** Puts what the overview needs beyond signing in into one file: divided by what else shares it, it is more than a dozen. */
function shell() {
  let first: Set<string> | undefined;
  return (id: string, graph: Graph): string | null => {
    if (!first) {
      const entry = needed('main.tsx', graph);
      first = new Set([...needed('App.tsx', graph)].filter((m) => !entry.has(m)));
    }
    return first.has(id) ? 'App' : null;
  };
}

export default defineConfig({
  // The page's <base> says where it is mounted; nothing in it depends on that.
  base: './',
  plugins: [react(), licences()],
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
        codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: shell() }] },
      },
    },
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'], setupFiles: ['./src/test.ts'], testTimeout: 60_000 },
});
