import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, createServer as listen } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What the tests talk to: a real FaDO, two real MinIOs, two function servers. */
export interface World {
  dir: string;
  admin: string;
  console: string;
  below: string;
  /** The console behind the site's own authentication. */
  sso: string;
  /** FaDO's own S3 endpoint. */
  s3: string;
  /** Where invocations are sent to. */
  functions_at: string;
  storages: Record<string, string>;
  functions: Record<string, number>;
}

export const caddy = process.env.FADO_CADDY ?? '../../../bin/caddy';
const tools = process.env.FADO_TOOLS ?? '../../../.tools/bin';
const key = { id: 'console-tests', secret: 'console-tests-secret' };

export async function freePort(): Promise<number> {
  const server = listen().listen(0, '127.0.0.1');
  await new Promise((r) => server.once('listening', r));
  const { port } = server.address() as AddressInfo;
  await new Promise((r) => server.close(r));
  return port;
}

export async function until(what: string, check: () => Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await check().catch(() => false)) return;
    await new Promise((r) => setTimeout(r, 150));
  }
  throw new Error(`waiting for ${what} took more than ${ms} ms`);
}

/** Asks the admin endpoint. Caddy takes what has Sec-Fetch-Mode, as Node's fetch has, from its own origin only. */
export function askAdmin(w: Pick<World, 'admin'>, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(w.admin + path, { ...init, headers: { 'Content-Type': 'application/json', Origin: w.admin } });
}

/** A request signed with version 4, of a body by its digest. */
function signed(endpoint: string, method: string, path: string, digest: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(path, endpoint);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const mac = (k: string | Buffer, s: string) => createHmac('sha256', k).update(s).digest();
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const headers: Record<string, string> = { host: url.host, 'x-amz-content-sha256': digest, 'x-amz-date': time };
  const names = Object.keys(headers).sort();
  const canonical = [method, url.pathname, url.search.slice(1), ...names.map((n) => `${n}:${headers[n]}`), '', names.join(';'), digest].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha(canonical)].join('\n');
  const k = mac(mac(mac(mac(`AWS4${key.secret}`, time.slice(0, 8)), 'us-east-1'), 's3'), 'aws4_request');
  const signature = createHmac('sha256', k).update(toSign).digest('hex');
  const { host: _, ...sent } = headers;
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { url, headers: { ...sent, authorization } };
}

const sha = (s: string) => createHash('sha256').update(s).digest('hex');

/** One S3 request. */
export async function s3(endpoint: string, method: string, path: string, body = '', type?: string): Promise<Response> {
  const { url, headers } = signed(endpoint, method, path, sha(body));
  return fetch(url, { method, body: body || undefined, headers: { ...headers, ...(type && { 'content-type': type }) } });
}

/** Writes an object of so many MiB, none of which is kept in memory. */
export async function s3Large(endpoint: string, path: string, mebibytes: number): Promise<void> {
  const { url, headers } = signed(endpoint, 'PUT', path, 'UNSIGNED-PAYLOAD');
  const put = request(url, { method: 'PUT', headers: { ...headers, 'content-length': mebibytes << 20 } });
  const answer = once(put, 'response');
  const part = Buffer.alloc(1 << 20, 'x');
  await pipeline(Readable.from(Array.from({ length: mebibytes }, () => part)), put);
  const [got] = (await answer) as [IncomingMessage];
  got.resume();
  if (got.statusCode !== 200) throw new Error(`writing ${path}: ${got.statusCode}`);
}

/** Ends a process, and returns when it has ended: it may still be writing. */
async function ended(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((r) => child.once('exit', r));
  child.kill(signal);
  await exit;
}

function run(command: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: process.env.DEBUG ? 'inherit' : 'ignore' });
  child.on('error', (e) => console.error(command, e.message));
  return child;
}

export const hash = (password: string, algorithm = 'argon2id') =>
  execFileSync(caddy, ['hash-password', '--algorithm', algorithm, '--plaintext', password]).toString().trim();

function caddyfile(w: World): string {
  const url = (u: string) => new URL(u);
  const cluster = (name: string, zone: string) => `
		cluster ${name} {
			zones ${zone}
			storage ${w.storages[name]} {
				access_key ${key.id}
				secret_key ${key.secret}
			}
			function http://127.0.0.1:${w.functions[name]} {
				health_path /healthz
			}
		}`;
  const users = [
    ['vera', 'viewer'],
    ['ola', 'operator'],
    ['ada', 'admin'],
  ].map(([name, role]) => `user ${name} ${hash(`of ${name}`)} ${role}`);
  return `{
	admin ${url(w.admin).host}
	auto_https off
	persist_config off
	fado {
		store sqlite ${join(w.dir, 'fado.db')}
		node tests
		history 1h 1s
		zone eu
		zone eu-de {
			parent eu
		}
		zone eu-fr {
			parent eu
		}
		zone us
${cluster('berlin', 'eu-de')}
${cluster('paris', 'eu-fr')}
		replication {
			max_deletes 100
			bandwidth 40MiB
		}
	}
}
http://:${url(w.console).port} {
	fado_console {
		${users.join('\n\t\t')}
	}
}
http://:${url(w.sso).port} {
	basic_auth {
		ada ${hash('of ada', 'bcrypt')}
		eve ${hash('of eve', 'bcrypt')}
	}
	fado_console {
		identity {http.auth.user.id} {
			role admin ada
		}
	}
}
http://:${url(w.s3).port} {
	fado_s3
}
http://:${url(w.functions_at).port} {
	reverse_proxy {
		dynamic fado
		transport fado
		lb_policy data_aware
	}
}
http://:${url(w.below).port} {
	handle_path /console/* {
		fado_console {
			${users[0]}
		}
	}
}
`;
}

async function api(w: World, method: string, path: string, body?: unknown): Promise<void> {
  const r = await askAdmin(w, path, { method, body: body ? JSON.stringify(body) : undefined });
  if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${await r.text()}`);
}

async function fill(w: World): Promise<void> {
  await api(w, 'POST', '/fado/policies', { name: 'reports', copies: 2, zones: ['eu'], prefer: ['berlin'] });
  await api(w, 'POST', '/fado/policies', { name: 'everywhere', copies: 'all' });
  await api(w, 'POST', '/fado/buckets', { name: 'reports', policy: 'reports', primary: 'berlin' });
  await api(w, 'POST', '/fado/buckets', { name: 'media', policy: 'everywhere', primary: 'paris' });
  const ok = async (b: string) => (await (await askAdmin(w, `/fado/buckets/${b}`)).json()).status.state === 'ok';
  await until('the buckets', async () => (await ok('reports')) && (await ok('media')));
  for (let i = 0; i < 60; i++) {
    const r = await s3(w.storages.berlin, 'PUT', `/reports/${i < 50 ? 'q1/' : ''}report-${String(i).padStart(3, '0')}.txt`, `report ${i}`);
    if (!r.ok) throw new Error(`writing: ${r.status} ${await r.text()}`);
  }
  await until('the copies', () => ok('reports'));
}

export default async function setup(): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'fado-console-'));
  const at = async () => `http://127.0.0.1:${await freePort()}`;
  const w: World = {
    dir,
    admin: await at(),
    console: (await at()).replace('127.0.0.1', 'localhost'),
    below: (await at()).replace('127.0.0.1', 'localhost'),
    sso: (await at()).replace('127.0.0.1', 'localhost'),
    s3: (await at()).replace('127.0.0.1', 'localhost'),
    functions_at: await at(),
    storages: {},
    functions: {},
  };
  const storages: Record<string, { child?: ChildProcess; start: () => Promise<void> }> = {};
  const servers = ['berlin', 'paris'].map((name) => ({
    name,
    server: createServer((_, res) => res.end('{}')),
  }));
  for (const { name, server } of servers) {
    w.storages[name] = await at();
    server.listen(0, '127.0.0.1');
    await new Promise((r) => server.once('listening', r));
    w.functions[name] = (server.address() as AddressInfo).port;
    const { host } = new URL(w.storages[name]);
    const own = new URL(await at()).host;
    const start = async () => {
      storages[name].child = run(join(tools, 'minio'), ['server', '--quiet', '--address', host, '--console-address', own, join(dir, name)], {
        MINIO_ROOT_USER: key.id,
        MINIO_ROOT_PASSWORD: key.secret,
        MINIO_BROWSER: 'off',
      });
      await until('MinIO', async () => (await fetch(`${w.storages[name]}/minio/health/live`)).ok);
    };
    storages[name] = { start };
  }
  // Not declared: tests that want a storage of another kind make a cluster of it.
  w.storages.lyon = await at();
  mkdirSync(join(dir, 'lyon'));
  const lyon = ['--access', key.id, '--secret', key.secret, '--port', new URL(w.storages.lyon).host, 'posix', join(dir, 'lyon')];
  storages.lyon = {
    start: async () => {
      storages.lyon.child = run(join(tools, 'versitygw'), lyon, {});
      await until('versitygw', async () => (await fetch(w.storages.lyon)).status > 0);
    },
  };
  await Promise.all(Object.values(storages).map((s) => s.start()));
  writeFileSync(join(dir, 'Caddyfile'), caddyfile(w), { mode: 0o600 });
  const fado = new Fado(w);
  await fado.start();
  await fill(w);
  process.env.FADO_WORLD = JSON.stringify(w);

  // Tests in another process have FaDO stopped and started, and functions ended, through here.
  const control = createServer(async (req, res) => {
    if (req.url === '/stop') await fado.stop();
    if (req.url === '/start') await fado.start();
    const storage = /^\/storage\/(stop|start)\/(\w+)$/.exec(req.url ?? '');
    const at = storages[storage?.[2] ?? ''];
    if (storage?.[1] === 'stop' && at?.child) await ended(at.child);
    if (storage?.[1] === 'start') await at?.start();
    const fn = /^\/function\/(down|up)\/(\w+)$/.exec(req.url ?? '');
    const of = servers.find((s) => s.name === fn?.[2]);
    if (fn?.[1] === 'down') {
      of?.server.close();
      of?.server.closeAllConnections();
    }
    if (fn?.[1] === 'up') of?.server.listen(w.functions[of.name], '127.0.0.1');
    res.end();
  }).listen(0, '127.0.0.1');
  await new Promise((r) => control.once('listening', r));
  process.env.FADO_WORLD_CONTROL = `http://127.0.0.1:${(control.address() as AddressInfo).port}`;

  return async () => {
    await fado.stop();
    await Promise.all(Object.values(storages).map((s) => s.child && ended(s.child)));
    for (const s of servers) s.server.close();
    control.close();
    rmSync(dir, { recursive: true, force: true });
  };
}

/** A FaDO besides the one of the other tests: what a test does to it harms none of them. */
export interface Another {
  dir: string;
  admin: string;
  console: string;
  /** Where invocations are sent to. */
  functions: string;
  fado: Fado;
}

/**
 * Starts one, with global settings and options of its console, and the user ada. The store is
 * its own unless the settings say otherwise, and may be prepared.
 */
let ada: string | undefined; // the same everywhere, as sessions end where a password is another

export async function another(settings = '', options = '', prepare: (db: string) => void = () => {}): Promise<Another> {
  const dir = mkdtempSync(join(tmpdir(), 'fado-console-'));
  const at = async (host: string) => `http://${host}:${await freePort()}`;
  const w = { dir, admin: await at('127.0.0.1'), console: await at('localhost'), functions: await at('127.0.0.1') };
  const store = /^\s*store /m.test(settings) ? '' : `store sqlite ${join(dir, 'fado.db')}`;
  ada ??= hash('of ada', 'bcrypt');
  writeFileSync(
    join(dir, 'Caddyfile'),
    `{
	admin ${new URL(w.admin).host}
	auto_https off
	persist_config off
	fado {
		${store}
		${settings}
	}
}
http://:${new URL(w.console).port} {
	fado_console {
		user ada ${ada} admin
		${options}
	}
}
http://:${new URL(w.functions).port} {
	reverse_proxy {
		dynamic fado
		transport fado
		lb_policy data_aware
	}
}
`,
    { mode: 0o600 },
  );
  prepare(join(dir, 'fado.db'));
  const fado = new Fado(w);
  await fado.start();
  return { ...w, fado };
}

/** Ends one, and removes what it kept. */
export async function endOf(one: Another): Promise<void> {
  await one.fado.stop();
  rmSync(one.dir, { recursive: true, force: true });
}

/** A PostgreSQL of its own, for instances that share a store. */
export async function postgres(): Promise<{ store: string; stop: () => Promise<void> }> {
  const found = ['/usr/local/bin', ...readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin`)];
  const bin = found.find((d) => existsSync(join(d, 'initdb')) && existsSync(join(d, 'postgres')));
  if (!bin) throw new Error('PostgreSQL is not installed: make prereqs');
  const dir = mkdtempSync('/tmp/fado-console-postgres-');
  // It refuses to run as root.
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres']).toString());
  const owner = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
  if ('uid' in owner) chownSync(dir, owner.uid as number, owner.gid as number);
  const port = await freePort();
  const data = join(dir, 'data');
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'fado', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'], {
    ...owner,
    cwd: dir,
    stdio: 'pipe',
  });
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
  const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((v) => ['-c', v])], { ...owner, cwd: dir, stdio: 'ignore' });
  await until('PostgreSQL', () => reached(port));
  return {
    store: `store postgres postgres://fado@127.0.0.1:${port}/postgres?sslmode=disable`,
    stop: async () => {
      await ended(child, 'SIGINT');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Whether someone listens there. */
const reached = (port: number) =>
  new Promise<boolean>((r) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      r(true);
    });
    socket.on('error', () => r(false));
  });

/** A FaDO by the Caddyfile in the directory of its world. */
export class Fado {
  private child?: ChildProcess;
  constructor(private readonly w: Pick<World, 'dir' | 'admin' | 'console'>) {}

  async start(): Promise<void> {
    this.child = run(caddy, ['run', '--config', join(this.w.dir, 'Caddyfile'), '--adapter', 'caddyfile'], {
      XDG_DATA_HOME: this.w.dir,
      XDG_CONFIG_HOME: this.w.dir,
    });
    await until('FaDO', async () => (await askAdmin(this.w, '/fado/')).ok);
    await until('the console', async () => (await fetch(this.w.console)).ok);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child) await ended(child, signal);
  }

  /** The process. */
  get pid(): number {
    return this.child?.pid ?? 0;
  }
}
