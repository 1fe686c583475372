package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
)

// cost is what a copier took.
type cost struct {
	wall, cpu float64 // seconds
	rss       float64 // MiB, at the highest
}

// copiers are the programs that copy from one MinIO to another.
type copiers struct {
	*env
	src, dst   *testenv.Server
	from, to   *minio.Client
	bare       string // the program
	mc, rclone string
}

// copierNames in the order of their turns. A name is also what the target bucket begins
// with; FaDO's has the source's name.
var copierNames = []string{"bare", "fado", "mc", "rclone"}

var copierTitles = map[string]string{
	"bare": "bare GET→PUT streams", "fado": "FaDO", "mc": "`mc mirror`", "rclone": "`rclone sync`",
}

func (e *env) newCopiers(ctx context.Context) (*copiers, error) {
	c := &copiers{env: e, bare: filepath.Join(e.dir, "bare")}
	var err error
	if c.mc, err = testenv.Binary("mc"); err != nil {
		return nil, fmt.Errorf("%w (make bench builds it)", err)
	}
	if c.rclone, err = testenv.Binary("rclone"); err != nil {
		return nil, fmt.Errorf("%w (make bench builds it)", err)
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", c.bare, "./bench/bare").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building bench/bare: %w: %s", err, out)
	}
	for _, s := range []struct {
		srv *(*testenv.Server)
		api *(*minio.Client)
	}{{&c.src, &c.from}, {&c.dst, &c.to}} {
		if *s.srv, err = testenv.Start(ctx, testenv.KindMinIO, testenv.Options{}); err == nil {
			*s.api, err = (*s.srv).Client()
		}
		if err != nil {
			c.close()
			return nil, err
		}
	}
	return c, c.configure(ctx)
}

func (c *copiers) close() {
	for _, s := range []*testenv.Server{c.src, c.dst} {
		if s != nil {
			s.Close()
		}
	}
}

// configure writes what mc and rclone want to know.
func (c *copiers) configure(ctx context.Context) error {
	var conf strings.Builder
	for _, s := range []struct {
		name string
		srv  *testenv.Server
	}{{"src", c.src}, {"dst", c.dst}} {
		fmt.Fprintf(&conf, "[%s]\ntype = s3\nprovider = Minio\nendpoint = %s\naccess_key_id = %s\nsecret_access_key = %s\nregion = us-east-1\n\n",
			s.name, s.srv.Endpoint, s.srv.AccessKey, s.srv.SecretKey)
		out, err := exec.CommandContext(ctx, c.mc, "--config-dir", filepath.Join(c.dir, "mc"), "alias", "set", s.name,
			s.srv.Endpoint, s.srv.AccessKey, s.srv.SecretKey).CombinedOutput()
		if err != nil {
			return fmt.Errorf("mc alias set: %w: %s", err, out)
		}
	}
	return os.WriteFile(filepath.Join(c.dir, "rclone.conf"), []byte(conf.String()), 0o600)
}

// target is the bucket at the destination that a copier writes to.
func target(name, bucket string) string {
	if name == "fado" {
		return bucket
	}
	return name + "-" + bucket
}

// command is how a copier copies a bucket.
func (c *copiers) command(ctx context.Context, name string, s dataset) *exec.Cmd {
	to := "dst" + map[string]string{"mc": "/", "rclone": ":"}[name] + target(name, s.bucket)
	switch name {
	case "mc":
		return exec.CommandContext(ctx, c.mc, "--config-dir", filepath.Join(c.dir, "mc"), "mirror", "--quiet", "src/"+s.bucket, to)
	case "rclone":
		return exec.CommandContext(ctx, c.rclone, "--config", filepath.Join(c.dir, "rclone.conf"), "sync", "--checksum", "--fast-list",
			"--transfers", "32", "--checkers", "32", "src:"+s.bucket, to)
	}
	args := []string{"keys"}
	if s.count == 1 {
		args = []string{"parts", s.key(0)}
	}
	cmd := exec.CommandContext(ctx, c.bare, args...)
	cmd.Stdin = strings.NewReader(strings.Join(s.keys(), "\n"))
	cmd.Env = c.bareEnv(s.bucket, s.streams)
	return cmd
}

func (c *copiers) bareEnv(bucket string, workers int) []string {
	return append(os.Environ(),
		fmt.Sprintf("SRC=%s %s %s %s", c.src.Endpoint, c.src.AccessKey, c.src.SecretKey, bucket),
		fmt.Sprintf("DST=%s %s %s %s", c.dst.Endpoint, c.dst.AccessKey, c.dst.SecretKey, target("bare", bucket)),
		"WORKERS="+strconv.Itoa(workers))
}

// runCommand runs a copier that ends by itself, and reads what it cost.
func runCommand(cmd *exec.Cmd) (cost, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastBytes(out.Bytes(), 2000))
	}
	u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("no resource usage on this system")
	}
	return cost{
		wall: time.Since(began).Seconds(), rss: float64(u.Maxrss) / 1024,
		cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
	}, nil
}

func lastBytes(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// removeTarget empties a copier's bucket by MinIO's own short way.
func (c *copiers) removeTarget(ctx context.Context, name string, s dataset) error {
	err := c.to.RemoveBucketWithOptions(ctx, target(name, s.bucket), minio.RemoveBucketOptions{ForceDelete: true})
	if minio.ToErrorResponse(err).Code == "NoSuchBucket" {
		return nil
	}
	return err
}

// fado is a FaDO that replicates between the two storages.
type fado struct {
	*caddy
	*copiers
	store string
}

// startFado runs bin/caddy with both storages, on a store of its own.
func (c *copiers) startFado(ctx context.Context) (*fado, error) {
	dir, err := os.MkdirTemp(c.dir, "fado-")
	if err != nil {
		return nil, err
	}
	cluster := func(i int, name string, s *testenv.Server) map[string]any {
		return map[string]any{
			"name": name, "zones": []string{"z" + name},
			"storage":   map[string]any{"endpoint": s.Endpoint, "access_key": s.AccessKey, "secret_key": s.SecretKey},
			"functions": []any{map[string]any{"url": c.urls[i]}},
		}
	}
	app := map[string]any{
		"store": map[string]any{"type": "sqlite", "path": filepath.Join(dir, "fado.db")}, "node": "bench",
		"zones":    []any{map[string]any{"name": "zsrc"}, map[string]any{"name": "zdst"}},
		"clusters": []any{cluster(0, "src", c.src), cluster(1, "dst", c.dst)},
		"policies": []any{map[string]any{"name": "p", "copies": 2}},
	}
	cad, err := c.startCaddy(ctx, map[string]any{"apps": map[string]any{"fado": app}})
	if err != nil {
		return nil, err
	}
	f := &fado{caddy: cad, copiers: c, store: dir}
	if err := f.awaitUp(ctx); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (f *fado) awaitUp(ctx context.Context) error {
	for _, name := range []string{"src", "dst"} {
		err := poll(ctx, func() (bool, error) {
			var cl struct {
				Status struct{ Storage struct{ State, Feed string } }
			}
			err := f.api(ctx, http.MethodGet, "/fado/clusters/"+name, nil, &cl)
			return cl.Status.Storage.State == "up" && cl.Status.Storage.Feed == "listening", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the seconds of processor time that the process has used.
func (f *fado) cpu() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc/…/stat is not as expected")
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, errors.Join(err1, err2)
}

// copyState is what a bucket's status says of the copy.
type copyState struct {
	state    string
	verified time.Time
	objects  int64
}

func (f *fado) copyState(ctx context.Context, bucket string) (copyState, error) {
	var b struct {
		Status struct {
			Copies []struct {
				Cluster, State string
				Objects        int64
				VerifiedAt     time.Time `json:"verified_at"`
			}
		}
	}
	if err := f.api(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b); err != nil {
		return copyState{}, err
	}
	for _, c := range b.Status.Copies {
		if c.Cluster == "dst" {
			return copyState{c.State, c.VerifiedAt, c.Objects}, nil
		}
	}
	return copyState{}, nil
}

// measured runs f and reads what the process spent meanwhile.
func (f *fado) measured(do func() error) (cost, error) {
	before, err := f.cpu()
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return cost{}, err
	}
	wall := time.Since(began).Seconds()
	after, err := f.cpu()
	if err != nil {
		return cost{}, err
	}
	_, peak, err := f.rss()
	return cost{wall: wall, cpu: after - before, rss: float64(peak)}, err
}

// sync registers the bucket and waits until its copy is synced.
func (f *fado) sync(ctx context.Context, s dataset) error {
	in := map[string]any{"name": s.bucket, "policy": "p", "primary": "src"}
	if err := f.api(ctx, http.MethodPost, "/fado/buckets", in, nil); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		st, err := f.copyState(ctx, s.bucket)
		if st.state == "failed" {
			return false, errors.New("the copy failed")
		}
		if st.state == "synced" && st.objects != int64(s.count) {
			return false, fmt.Errorf("synced with %d of %d objects", st.objects, s.count)
		}
		return st.state == "synced", err
	})
}

// rescan asks for a scan and waits for its end.
func (f *fado) rescan(ctx context.Context, s dataset) error {
	before, err := f.copyState(ctx, s.bucket)
	if err != nil {
		return err
	}
	if err := f.api(ctx, http.MethodPost, "/fado/buckets/"+s.bucket+"/sync", nil, nil); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		st, err := f.copyState(ctx, s.bucket)
		return st.verified.After(before.verified), err
	})
}

func (f *fado) forget(ctx context.Context, s dataset) error {
	return f.api(ctx, http.MethodDelete, "/fado/buckets/"+s.bucket, nil, nil)
}

// poll asks until it is so, every 10 ms.
func poll(ctx context.Context, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
