package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/examples/internal/stage"
)

var walk = []stage.Step[*world]{
	{
		Title: "Two instances share the work",
		Why: "Policy \"everywhere\": a copy in every place. The objects are written at Berlin's MinIO with a\n" +
			"plain S3 client. Both instances must have copied some of them, and no object twice at once.",
		Do: shareWork,
	},
	{
		Title: "A change made at one instance is routed by the other",
		Why:   "A bucket is made at fado-1's admin API. fado-2 hears of it from PostgreSQL.",
		Do:    propagate,
	},
	{
		Title: "What is written at one instance is read at the other",
		Why: "The same key is written at the S3 endpoint of one instance and read at that of the other right\n" +
			"after the answer, to and fro. Each read must give what was written.",
		Do: readAfterWrite,
	},
	{
		Title: "An instance is killed under load: kill -9 of fado-1",
		Why: "No request may fail behind the load balancer. The other instance must take over what the killed one\n" +
			"did: listening to the storages, planning, the copies it had begun.",
		Do: killFirst,
	},
	{
		Title: "The other one is killed: kill -9 of fado-2",
		Why:   "Whichever of them listened and planned: now it is sure that both have been killed once.",
		Do:    killSecond,
	},
	{
		Title: "PostgreSQL is gone, under load",
		Why: "Routing must go on from memory: no request may fail. Changes by the API must be refused with 503, and\n" +
			"each instance must say what is wrong. One that starts without the database routes by what it remembers. When\n" +
			"it is back, everything must go on by itself.",
		Do: loseDatabase,
	},
}

const shared = "shared"

func key(i int) string { return fmt.Sprintf("part-%d/object-%04d.bin", i%4, i) }

// write writes objects of 4 KiB at Berlin's storage.
func (w *world) write(ctx context.Context, say *stage.Display, bucket string, from, n int) error {
	for i := from; i < from+n; i++ {
		if _, err := w.place("berlin").Put(ctx, bucket, key(i), 4<<10, 1); err != nil {
			return err
		}
		say.Progress(int64(i-from+1), int64(n), key(i))
	}
	return nil
}

func shareWork(ctx context.Context, w *world, say *stage.Display) error {
	first := w.nodes[0]
	say.Doing("POST /fado/policies and /fado/buckets at %s", first.name)
	err := errors.Join(
		first.API(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": "everywhere", "copies": "all"}, nil),
		first.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": shared, "policy": "everywhere", "primary": "berlin"}, nil),
	)
	if err != nil {
		return err
	}
	if err := first.AwaitOK(ctx, say, shared, stage.Names...); err != nil {
		return err
	}
	const n = 400
	say.Doing("writing %d objects at Berlin's storage", n)
	if err := w.write(ctx, say, shared, 0, n); err != nil {
		return err
	}
	objects, _, err := w.awaitSame(ctx, say, shared)
	if err != nil {
		return err
	}
	say.Saw("every place holds the same %d objects", objects)
	return w.awaitShare(ctx, say, n)
}

// awaitShare waits until both instances have copied something since they started, and
// writes more objects for as long as one of them has not: an idle system leaves it open
// who does the little there is to do.
func (w *world) awaitShare(ctx context.Context, say *stage.Display, next int) error {
	count := make(map[string]int64)
	err := stage.Await(ctx, func() (bool, error) {
		shares := 0
		for _, n := range w.nodes {
			c, err := n.copied(ctx)
			if err != nil {
				return false, err
			}
			if count[n.name] = c; c > 0 {
				shares++
			}
		}
		if shares == len(w.nodes) {
			return true, nil
		}
		err := w.write(ctx, say, shared, next, 100)
		next += 100
		return false, err
	})
	if err != nil {
		return fmt.Errorf("every instance should copy some of the objects, they copied %v: %w", count, err)
	}
	say.Saw("copied since they started: %v", count)
	return nil
}

func propagate(ctx context.Context, w *world, say *stage.Display) error {
	const rounds = 20
	var longest, total time.Duration
	for i := range rounds {
		from, to := w.nodes[i%2], w.nodes[(i+1)%2]
		bucket := fmt.Sprintf("made-%d", i)
		if err := from.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": bucket, "policy": "everywhere"}, nil); err != nil {
			return err
		}
		begin := time.Now()
		if err := to.awaitKnown(ctx, bucket); err != nil {
			return err
		}
		took := time.Since(begin)
		longest, total = max(longest, took), total+took
	}
	say.Saw("%d buckets made at one instance: routed by the other %.1f ms after the answer on average, %.1f ms at most",
		rounds, ms(total)/rounds, ms(longest))
	return nil
}

func readAfterWrite(ctx context.Context, w *world, say *stage.Display) error {
	const rounds = 40
	for i := range rounds {
		from, to := w.nodes[i%2], w.nodes[(i+1)%2]
		want := fmt.Sprintf("version %d", i)
		_, err := from.s3.PutObject(ctx, shared, "to-and-fro", strings.NewReader(want), int64(len(want)), "", "", minio.PutObjectOptions{})
		if err != nil {
			return fmt.Errorf("writing at %s: %w", from.name, err)
		}
		o, _, _, err := to.s3.GetObject(ctx, shared, "to-and-fro", minio.GetObjectOptions{})
		if err != nil {
			return fmt.Errorf("reading at %s: %w", to.name, err)
		}
		got, err := io.ReadAll(o)
		o.Close()
		if err != nil || string(got) != want {
			return fmt.Errorf("%s read %q after %q was written at %s: %w", to.name, got, want, from.name, err)
		}
	}
	say.Saw("each of %d reads at the other instance gave what was written right before", rounds)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// awaitKnown waits until an instance knows a bucket when it is asked to route.
func (n *node) awaitKnown(ctx context.Context, bucket string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var route struct {
			Reason string `json:"reason"`
		}
		if err := n.API(ctx, http.MethodGet, "/fado/route?bucket="+url.QueryEscape(bucket), nil, &route); err != nil {
			return fmt.Errorf("waiting for %s to know bucket %s: %w", n.name, bucket, err)
		}
		if route.Reason != "unknown-bucket" {
			return nil
		}
	}
}

func killFirst(ctx context.Context, w *world, say *stage.Display) error {
	return w.kill(ctx, say, w.nodes[0], w.nodes[1])
}

func killSecond(ctx context.Context, w *world, say *stage.Display) error {
	return w.kill(ctx, say, w.nodes[1], w.nodes[0])
}

// kill kills an instance under load, and starts it again.
func (w *world) kill(ctx context.Context, say *stage.Display, victim, other *node) error {
	l := w.StartLoad(ctx, 8, shared, func(i int) string { return key(i % 400) })
	defer l.Cancel()
	if err := l.AwaitAnswers(ctx, stage.Names...); err != nil {
		return err
	}
	say.Doing("8 clients invoke without a pause; kill -9 of %s; writing 50 objects at Berlin's storage", victim.name)
	victim.proc.Kill()
	begin := time.Now()
	if err := w.write(ctx, say, shared, 10_000, 50); err != nil {
		return err
	}
	objects, _, err := w.awaitSame(ctx, say, shared)
	if err != nil {
		return err
	}
	say.Saw("the %d objects are the same everywhere %.1f s after the kill: %s took over", objects, time.Since(begin).Seconds(), other.name)
	if err := other.AwaitOK(ctx, say, shared, stage.Names...); err != nil {
		return err
	}
	say.Doing("starting %s again", victim.name)
	if err := victim.start(ctx); err != nil {
		return err
	}
	if err := w.awaitShare(ctx, say, 20_000); err != nil {
		return err
	}
	if err := l.Stop(); err != nil {
		return err
	}
	say.Saw("%d invocations meanwhile, 0 failed", l.OK())
	return nil
}

func loseDatabase(ctx context.Context, w *world, say *stage.Display) error {
	l := w.StartLoad(ctx, 8, shared, func(i int) string { return key(i % 400) })
	defer l.Cancel()
	if err := l.AwaitAnswers(ctx, stage.Names...); err != nil {
		return err
	}
	say.Doing("8 clients invoke without a pause; stopping PostgreSQL")
	w.postgres.Stop()
	for _, n := range w.nodes {
		o, err := n.awaitStatus(ctx, "degraded")
		if err != nil {
			return err
		}
		say.Saw("%s says of itself: %s, %s", n.name, o.Status, o.Reason)
		status, text, err := n.Try(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": "not-now"})
		if err != nil {
			return err
		}
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("a change without the database was answered %d %s, expected 503", status, text)
		}
		say.Saw("a change at its API: %d %s", status, text)
	}
	l.Since()
	if err := l.AwaitAnswers(ctx, stage.Names...); err != nil {
		return err
	}
	if err := w.startWithoutDatabase(ctx, say, w.nodes[1]); err != nil {
		return err
	}
	say.Doing("writing 20 objects at Berlin's storage, then starting PostgreSQL again")
	if err := w.write(ctx, say, shared, 30_000, 20); err != nil {
		return err
	}
	begin := time.Now()
	if err := w.postgres.Restart(ctx); err != nil {
		return err
	}
	return w.recovers(ctx, say, l, begin)
}

// startWithoutDatabase kills an instance and starts it again while the database is away:
// it routes by what it remembers on its own disk.
func (w *world) startWithoutDatabase(ctx context.Context, say *stage.Display, n *node) error {
	say.Doing("kill -9 of %s, and starting it again without the database", n.name)
	n.proc.Kill()
	if err := n.start(ctx); err != nil {
		return err
	}
	var r stage.Reply
	err := stage.Await(ctx, func() (ok bool, err error) { // its health checks come first
		r, err = n.Invoke(ctx, shared, key(0))
		return r.Status == http.StatusOK, err
	})
	if err != nil {
		return fmt.Errorf("%s should route by what it remembers, it answers %+v: %w", n.name, r, err)
	}
	say.Saw("%s routes by what it remembers: an invocation that names an object ran in %s, locality %s", n.name, r.Function, r.Locality)
	return nil
}

// recovers waits until everything works as before, and ends the load.
func (w *world) recovers(ctx context.Context, say *stage.Display, l *stage.Load, begin time.Time) error {
	for _, n := range w.nodes {
		if _, err := n.awaitStatus(ctx, "ok"); err != nil {
			return err
		}
	}
	say.Saw("both instances are ok %.1f s after the start of PostgreSQL", time.Since(begin).Seconds())
	if err := w.nodes[1].API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": "again", "policy": "everywhere"}, nil); err != nil {
		return err
	}
	if err := w.nodes[0].awaitKnown(ctx, "again"); err != nil {
		return err
	}
	objects, _, err := w.awaitSame(ctx, say, shared)
	if err != nil {
		return err
	}
	say.Saw("changes are taken again, and the %d objects are the same everywhere after %.1f s", objects, time.Since(begin).Seconds())
	if err := l.Stop(); err != nil {
		return err
	}
	say.Saw("%d invocations meanwhile, 0 failed", l.OK())
	return w.noSecretTold(ctx, say)
}

// noSecretTold looks for passwords and keys in what the instances logged meanwhile, errors
// of every kind among it, and in the configuration that Caddy keeps.
func (w *world) noSecretTold(ctx context.Context, say *stage.Display) error {
	for _, n := range w.nodes {
		log, err := os.ReadFile(n.log)
		if err != nil {
			return err
		}
		_, config, err := n.Try(ctx, http.MethodGet, "/config/", nil)
		if err != nil {
			return err
		}
		for _, secret := range []string{w.postgres.Password, encryptionKey, stage.SecretKey} {
			if strings.Contains(string(log)+config, secret) {
				return fmt.Errorf("%s told a secret, in its log or its configuration", n.name)
			}
		}
	}
	say.Saw("no password and no key is in the logs, or in the configurations that Caddy keeps")
	return nil
}
