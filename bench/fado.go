package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/internal/testenv"
)

// fado is a FaDO that replicates between the two storages.
type fado struct {
	caddy *caddy
	store string
}

// startFado runs bin/caddy with both storages, on a store of its own.
func (c *copiers) startFado(ctx context.Context) (*fado, error) {
	dir, err := os.MkdirTemp(c.env.dir, "fado-")
	if err != nil {
		return nil, err
	}
	cluster := func(i int, name string, s *testenv.Server) map[string]any {
		return map[string]any{
			"name": name, "zones": []string{"z" + name},
			"storage":   map[string]any{"endpoint": s.Endpoint, "access_key": s.AccessKey, "secret_key": s.SecretKey},
			"functions": []any{map[string]any{"url": c.env.urls[i]}},
		}
	}
	app := map[string]any{
		"store": map[string]any{"type": "sqlite", "path": filepath.Join(dir, "fado.db")}, "node": "bench",
		"zones":    []any{map[string]any{"name": "zsrc"}, map[string]any{"name": "zdst"}},
		"clusters": []any{cluster(0, "src", c.src), cluster(1, "dst", c.dst)},
		"policies": []any{map[string]any{"name": "p", "copies": 2}},
	}
	cad, err := c.env.startCaddy(ctx, map[string]any{"apps": map[string]any{"fado": app}})
	if err != nil {
		return nil, err
	}
	f := &fado{caddy: cad, store: dir}
	if err := f.awaitUp(ctx); err != nil {
		f.caddy.stop()
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
			err := f.caddy.api(ctx, http.MethodGet, "/fado/clusters/"+name, nil, &cl)
			return cl.Status.Storage.State == "up" && cl.Status.Storage.Feed == "listening", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the seconds of processor time that the process has used.
func (f *fado) cpu() (float64, error) { return cpuOf(f.caddy.cmd.Process.Pid) }

// cpuOf returns the seconds of processor time that a process has used.
func cpuOf(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
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
	if err := f.caddy.api(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b); err != nil {
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
	_, peak, err := f.caddy.rss()
	return cost{wall: wall, cpu: after - before, rss: float64(peak)}, err
}

// sync registers the bucket and waits until its copy is synced.
func (f *fado) sync(ctx context.Context, s dataset) error {
	in := map[string]any{"name": s.bucket, "policy": "p", "primary": "src"}
	if err := f.caddy.api(ctx, http.MethodPost, "/fado/buckets", in, nil); err != nil {
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
	if err := f.caddy.api(ctx, http.MethodPost, "/fado/buckets/"+s.bucket+"/sync", nil, nil); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		st, err := f.copyState(ctx, s.bucket)
		return st.verified.After(before.verified), err
	})
}

func (f *fado) forget(ctx context.Context, s dataset) error {
	return f.caddy.api(ctx, http.MethodDelete, "/fado/buckets/"+s.bucket, nil, nil)
}

// awaitRoutable waits until an invocation that names the object could be sent to the copy.
func (f *fado) awaitRoutable(ctx context.Context, bucket, key string) error {
	for {
		var route struct {
			Candidates []struct {
				Cluster string
				Fresh   bool
			}
		}
		path := "/fado/route?bucket=" + url.QueryEscape(bucket) + "&object=" + url.QueryEscape(key)
		if err := f.caddy.api(ctx, http.MethodGet, path, nil, &route); err != nil {
			return err
		}
		for _, c := range route.Candidates {
			if c.Cluster == "dst" && c.Fresh {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
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
