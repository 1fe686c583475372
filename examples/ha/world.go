package main

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fado-project/fado/examples/internal/stage"
	"github.com/fado-project/fado/internal/testenv"
)

//go:embed fado.Caddyfile
var fadoCaddyfile []byte

//go:embed front.Caddyfile
var frontCaddyfile []byte

// encryptionKey seals literal secrets in the store; the example has none.
const encryptionKey = "only an example of a key"

// world is all that runs. Its client invokes through the load balancer.
type world struct {
	*stage.Client
	dir      string
	places   stage.Places
	postgres *testenv.Postgres
	nodes    []*node
	front    *stage.Process
}

// node is a FaDO instance. Its client talks to it alone.
type node struct {
	*stage.Client
	name string
	s3   *minio.Core // its S3 endpoint
	log  string
	env  []string
	args []string
	proc *stage.Process
}

func startWorld(ctx context.Context, say *stage.Display) (w *world, err error) {
	w = new(world)
	if w.dir, err = os.MkdirTemp("", "fado-ha-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.showLogs()
			w.stop()
		}
	}()
	var env []string
	if w.places, env, err = stage.StartPlaces(ctx, say, w.dir, 9110, 9201); err != nil {
		return w, err
	}
	for _, p := range w.places {
		name := strings.ToUpper(p.Name)
		env = append(env, name+"_STORAGE="+p.MinIO.Endpoint, name+"_FUNCTION=http://"+p.FnAddr)
	}
	dsn, err := w.startPostgres(ctx, say)
	if err != nil {
		return w, err
	}
	env = append(env, "FADO_DSN="+dsn, "FADO_KEY="+encryptionKey)
	for i, name := range []string{"fado-1", "fado-2"} {
		say.Doing("starting FaDO instance %s", name)
		if err := w.startNode(ctx, i, name, env); err != nil {
			return w, err
		}
	}
	say.Doing("starting the load balancer: a plain Caddy")
	return w, w.startFront(ctx)
}

func (w *world) startPostgres(ctx context.Context, say *stage.Display) (dsn string, err error) {
	say.Doing("starting PostgreSQL")
	port, err := stage.Port("POSTGRES_PORT", 5532)
	if err != nil {
		return "", err
	}
	if w.postgres, err = testenv.StartPostgres(ctx, testenv.PostgresOptions{Port: port}); err != nil {
		return "", err
	}
	database, err := w.postgres.NewDatabase(ctx)
	return w.postgres.DSN(database), err
}

func (w *world) startNode(ctx context.Context, i int, name string, env []string) error {
	port, err := stage.Port(fmt.Sprintf("FADO_PORT_%d", i+1), 6101+i)
	if err != nil {
		return err
	}
	admin, err := stage.Port(fmt.Sprintf("FADO_ADMIN_PORT_%d", i+1), 2101+i)
	if err != nil {
		return err
	}
	s3, err := stage.Port(fmt.Sprintf("FADO_S3_PORT_%d", i+1), 9101+i)
	if err != nil {
		return err
	}
	file := filepath.Join(w.dir, "fado.Caddyfile")
	if err := os.WriteFile(file, fadoCaddyfile, 0o600); err != nil {
		return err
	}
	home := filepath.Join(w.dir, name)
	n := &node{
		Client: stage.NewClient(fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", admin)),
		name:   name, log: filepath.Join(w.dir, name+".log"),
		env: append(append([]string{}, env...), "FADO_NODE="+name, fmt.Sprintf("FADO_PORT=%d", port), fmt.Sprintf("FADO_S3_PORT=%d", s3),
			fmt.Sprintf("FADO_ADMIN=127.0.0.1:%d", admin), "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home),
		args: []string{"run", "--config", file, "--adapter", "caddyfile"},
	}
	n.s3, err = minio.NewCore(fmt.Sprintf("127.0.0.1:%d", s3), &minio.Options{
		Creds: credentials.NewStaticV4(stage.AccessKey, stage.SecretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		return err
	}
	w.nodes = append(w.nodes, n)
	return n.start(ctx)
}

// start starts the instance, again if it was killed.
func (n *node) start(ctx context.Context) (err error) {
	if n.proc, err = stage.StartProcess(n.log, n.env, "bin/caddy", n.args...); err != nil {
		return err
	}
	return n.proc.Await(ctx, n.AdminURL+"/fado/")
}

// startFront starts the load balancer, and waits until it reaches an instance.
func (w *world) startFront(ctx context.Context) error {
	port, err := stage.Port("FRONT_PORT", 6100)
	if err != nil {
		return err
	}
	file := filepath.Join(w.dir, "front.Caddyfile")
	if err := os.WriteFile(file, frontCaddyfile, 0o600); err != nil {
		return err
	}
	var instances []string
	for _, n := range w.nodes {
		instances = append(instances, strings.TrimPrefix(n.URL, "http://"))
	}
	home := filepath.Join(w.dir, "front")
	env := []string{
		fmt.Sprintf("FRONT_PORT=%d", port), "FADO_INSTANCES=" + strings.Join(instances, " "),
		"XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home,
	}
	w.Client = stage.NewClient(fmt.Sprintf("http://127.0.0.1:%d", port), w.nodes[0].AdminURL)
	w.front, err = stage.StartProcess(filepath.Join(w.dir, "front.log"), env, "bin/caddy", "run", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		return err
	}
	return w.front.Await(ctx, w.URL+"/healthz")
}

// overview is the part of GET /fado/ that the example looks at.
type overview struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// awaitStatus waits until an instance says of itself that it is "ok" or "degraded".
func (n *node) awaitStatus(ctx context.Context, want string) (o overview, err error) {
	err = stage.Await(ctx, func() (bool, error) {
		o = overview{}
		err := n.API(ctx, http.MethodGet, "/fado/", nil, &o)
		return o.Status == want, err
	})
	if err != nil {
		return o, fmt.Errorf("%s should be %s, it is %+v: %w", n.name, want, o, err)
	}
	return o, nil
}

// copied returns how many objects an instance has copied since it started.
func (n *node) copied(ctx context.Context) (int64, error) {
	return n.Counter(ctx, "caddy_fado_replicated_objects_total")
}

func (w *world) place(name string) *stage.Place { return w.places.Named(name) }

// awaitSame waits until every place lists the same objects of a bucket, and returns how
// many they are and how long that took.
func (w *world) awaitSame(ctx context.Context, say *stage.Display, bucket string) (objects int, took time.Duration, err error) {
	begin := time.Now()
	err = stage.Await(ctx, func() (bool, error) {
		var all []map[string]string
		for _, p := range w.places {
			keys, err := p.Keys(ctx, bucket)
			if err != nil {
				return false, err
			}
			all = append(all, keys)
		}
		objects = len(all[0])
		say.Progress(int64(min(len(all[1]), len(all[2]))), int64(objects), "objects in every place")
		return same(all...), nil
	})
	if err != nil {
		return objects, 0, fmt.Errorf("bucket %s should be the same everywhere: %w", bucket, err)
	}
	return objects, time.Since(begin), nil
}

// stop ends everything, the load balancer first, and removes the data.
func (w *world) stop() {
	if w.front != nil {
		w.front.Stop()
	}
	for _, n := range w.nodes {
		if n.proc != nil {
			n.proc.Stop()
		}
	}
	if w.postgres != nil {
		w.postgres.Close()
	}
	w.places.Close()
	_ = os.RemoveAll(w.dir)
}

func (w *world) showLogs() {
	for _, n := range w.nodes {
		stage.ShowLog(n.log)
	}
}

// same says whether all listings have the same keys and ETags.
func same(all ...map[string]string) bool {
	for _, m := range all[1:] {
		if len(all[0]) == 0 || !maps.Equal(all[0], m) {
			return false
		}
	}
	return true
}
