package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	env        *env
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
		out, err := exec.CommandContext(ctx, c.mc, "--config-dir", filepath.Join(c.env.dir, "mc"), "alias", "set", s.name,
			s.srv.Endpoint, s.srv.AccessKey, s.srv.SecretKey).CombinedOutput()
		if err != nil {
			return fmt.Errorf("mc alias set: %w: %s", err, out)
		}
	}
	return os.WriteFile(filepath.Join(c.env.dir, "rclone.conf"), []byte(conf.String()), 0o600)
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
		return exec.CommandContext(ctx, c.mc, "--config-dir", filepath.Join(c.env.dir, "mc"), "mirror", "--quiet", "src/"+s.bucket, to)
	case "rclone":
		return exec.CommandContext(ctx, c.rclone, "--config", filepath.Join(c.env.dir, "rclone.conf"), "sync", "--checksum", "--fast-list",
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
