package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// step is one thing the demo shows: it does it, observes, and fails if what was
// observed is not what FaDO promises.
type step struct {
	title, why string
	do         func(ctx context.Context, w *world, say *display) error
}

var walk = []step{
	{
		"A bucket is written in one place; its copies appear where the policy allows",
		"Policy \"reports\": 2 copies, inside the zone eu only. The objects are written at Berlin's\n" +
			"MinIO with a plain S3 client. FaDO must copy them to Paris, and never to Virginia.", copies,
	},
	{
		"Invocations go where the data is",
		"Requests that name the bucket must reach Berlin and Paris, which hold it, and not Virginia.", routeByBucket,
	},
	{
		"An invocation that names an object reads it next door",
		"The function reads the object from the storage FaDO names in X-FaDO-Storage, and answers the\n" +
			"SHA-256 of what it read.", routeByObject,
	},
	{
		"Freshness: an object is overwritten while it is being asked for",
		"Between the overwrite and its verified copy only the place that holds the new version may answer.", freshness,
	},
	{
		"A policy change moves data and traffic, under load, without a failed request",
		"PATCH the policy: from two copies in eu to one copy in us. The data must be copied to Virginia and\n" +
			"verified, Virginia becomes the primary, traffic moves, and only then the old copies go.", policyChange,
	},
	{
		"A function server fails",
		"Bucket \"media\" is everywhere. Virginia's function server is killed: its requests must go on\n" +
			"elsewhere at once, and come back when it does.", functionFails,
	},
	{
		"Residency: what may not run somewhere does not run at all",
		"Bucket \"patients\" may only be in Berlin. With Berlin's function server gone, FaDO must refuse\n" +
			"rather than send the invocation anywhere else.", residency,
	},
}

const reports = "reports"

func reportKey(i int) string { return fmt.Sprintf("q%d/report-%03d.bin", i%4+1, i) }

func copies(ctx context.Context, w *world, say *display) error {
	const n = 60
	say.doing("POST /fado/policies and /fado/buckets")
	err := errors.Join(
		w.api(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": reports, "copies": 2, "zones": []string{"eu"}, "prefer": []string{"berlin"}}, nil),
		w.api(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": reports, "policy": reports}, nil),
	)
	if err != nil {
		return err
	}
	if err := w.awaitOK(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	say.doing("writing %d objects of 1 KiB to 4 MiB at Berlin's storage", n)
	for i := range n {
		if _, err := w.cluster("berlin").put(ctx, reports, reportKey(i), 1<<(10+i%13), 1); err != nil {
			return err
		}
		say.progress(int64(i+1), n, reportKey(i))
	}
	start := time.Now()
	if err := w.awaitSame(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	say.saw("Paris holds the same %d objects (same ETags), %d ms after the last write", n, time.Since(start).Milliseconds())
	there, err := w.cluster("virginia").s3.BucketExists(ctx, reports)
	if err != nil || there {
		return fmt.Errorf("virginia must not have the bucket (has it: %t): %w", there, err)
	}
	say.saw("Virginia's storage has no such bucket")
	return nil
}

// awaitSame waits until two clusters list the same objects and FaDO says ok.
func (w *world) awaitSame(ctx context.Context, say *display, bucket, a, b string) error {
	err := await(ctx, func() (bool, error) {
		x, err := w.cluster(a).keys(ctx, bucket)
		if err != nil {
			return false, err
		}
		y, err := w.cluster(b).keys(ctx, bucket)
		say.progress(int64(len(y)), int64(len(x)), fmt.Sprintf("%d of %d objects in %s", len(y), len(x), b))
		return maps.Equal(x, y), err
	})
	if err != nil {
		return fmt.Errorf("bucket %s should be the same in %s and %s: %w", bucket, a, b, err)
	}
	return w.awaitOK(ctx, say, bucket, a, b)
}

func routeByBucket(ctx context.Context, w *world, say *display) error {
	const n = 60
	count, err := w.invokeMany(ctx, n, reports, "")
	if err != nil {
		return err
	}
	if count["virginia"] > 0 || count["berlin"] == 0 || count["paris"] == 0 {
		return fmt.Errorf("of %d invocations naming the bucket, answers by place: %v", n, count)
	}
	say.saw("%d invocations: %v, none in Virginia", n, count)
	free, err := w.invokeMany(ctx, n, "", "")
	if err != nil {
		return err
	}
	if free["virginia"] == 0 {
		return fmt.Errorf("invocations that name no data should use every place: %v", free)
	}
	say.saw("%d invocations that name no data: %v", n, free)
	return nil
}

func routeByObject(ctx context.Context, w *world, say *display) error {
	key := "q9/über den Umsatz + 5%.bin"
	sum, err := w.cluster("berlin").put(ctx, reports, key, 1<<20, 1)
	if err != nil {
		return err
	}
	r, err := w.invoke(ctx, reports, key)
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK || r.SHA256 != sum || r.Locality != "local" {
		return fmt.Errorf("asked for %q with SHA-256 %s, got %+v", key, sum, r)
	}
	say.saw("%q: %s read %d bytes from %s, SHA-256 as written, locality %s", key, r.Function, r.Bytes, r.Storage, r.Locality)
	return nil
}

func freshness(ctx context.Context, w *world, say *display) error {
	const key, rounds, size = "hot/dataset.bin", 5, 64 << 20
	berlin := w.cluster("berlin")
	if _, err := berlin.put(ctx, reports, key, size, 0); err != nil {
		return err
	}
	if err := w.awaitSame(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	asked, stale, byPlace := 0, 0, make(map[string]int)
	for v := 1; v <= rounds; v++ {
		say.doing("overwriting %s (64 MiB) in Berlin: version %d", key, v)
		if _, err := berlin.put(ctx, reports, key, size, v); err != nil {
			return err
		}
		// Writes made directly at a storage are known within the feed's delay.
		time.Sleep(250 * time.Millisecond)
		for range 12 {
			r, err := w.invoke(ctx, reports, key)
			if err != nil {
				return err
			}
			if r.Status != http.StatusOK {
				return fmt.Errorf("an invocation got %d (%s %s)", r.Status, r.Reason, r.Error)
			}
			asked++
			byPlace[r.Function]++
			if r.Version != fmt.Sprint(v) {
				stale++
			}
		}
	}
	if stale > 0 {
		return fmt.Errorf("%d of %d answers were made from an old version", stale, asked)
	}
	say.saw("%d invocations right behind %d overwrites: every answer from the newest version (%v)", asked, rounds, byPlace)
	return nil
}

// load invokes from several clients until its stop is called.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ok     atomic.Int64
	mu     sync.Mutex
	failed []string
	places map[string]int
}

func (w *world) startLoad(ctx context.Context, clients int, bucket string, object func(i int) string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, places: make(map[string]int)}
	for c := range clients {
		l.wg.Go(func() {
			for i := c; ctx.Err() == nil; i += clients {
				r, err := w.invoke(ctx, bucket, object(i))
				if ctx.Err() != nil {
					return
				}
				l.note(r, err)
			}
		})
	}
	return l
}

func (l *load) note(r reply, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || r.Status != http.StatusOK {
		l.failed = append(l.failed, fmt.Sprintf("%d %s %s %v", r.Status, r.Reason, r.Error, err))
		return
	}
	l.ok.Add(1)
	l.places[r.Function]++
}

// since returns the answers per place since the last call.
func (l *load) since() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.places
	l.places = make(map[string]int)
	return p
}

func (l *load) stop() error {
	l.cancel()
	l.wg.Wait()
	if len(l.failed) > 0 {
		return fmt.Errorf("%d of %d invocations failed, the first: %s", len(l.failed), l.ok.Load()+int64(len(l.failed)), l.failed[0])
	}
	return nil
}

func policyChange(ctx context.Context, w *world, say *display) error {
	l := w.startLoad(ctx, 4, reports, func(i int) string { return reportKey(i % 60) })
	defer l.cancel()
	say.doing("4 clients invoke without a pause; PATCH /fado/policies/reports {\"zones\": [\"us\"], \"copies\": 1, \"prefer\": []}")
	before, err := w.cluster("berlin").keys(ctx, reports)
	if err != nil {
		return err
	}
	change := map[string]any{"zones": []string{"us"}, "copies": 1, "prefer": []string{}}
	if err := w.api(ctx, http.MethodPatch, "/fado/policies/"+reports, change, nil); err != nil {
		return err
	}
	l.since()
	if err := w.awaitOK(ctx, say, reports, "virginia"); err != nil {
		return err
	}
	places := l.since()
	if err := l.stop(); err != nil {
		return err
	}
	after, err := w.cluster("virginia").keys(ctx, reports)
	if err != nil {
		return err
	}
	if !maps.Equal(before, after) {
		return fmt.Errorf("virginia holds %d objects, berlin held %d", len(after), len(before))
	}
	say.saw("Virginia holds all %d objects and is the primary", len(after))
	for _, name := range []string{"berlin", "paris"} {
		if left, err := w.cluster(name).keys(ctx, reports); err != nil || len(left) > 0 {
			return fmt.Errorf("%s still holds %d objects: %w", name, len(left), err)
		}
	}
	say.saw("Berlin and Paris hold none")
	say.saw("%d invocations meanwhile, 0 failed; since the change they ran in %v", l.ok.Load(), places)
	return nil
}

func functionFails(ctx context.Context, w *world, say *display) error {
	const media = "media"
	err := errors.Join(
		w.api(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": "everywhere", "copies": "all"}, nil),
		w.api(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": media, "policy": "everywhere", "primary": "paris"}, nil),
		w.awaitOK(ctx, say, media, "berlin", "paris", "virginia"),
	)
	if err != nil {
		return err
	}
	if _, err := w.cluster("paris").put(ctx, media, "clip.bin", 256<<10, 1); err != nil {
		return err
	}
	if err := w.awaitOK(ctx, say, media, "berlin", "paris", "virginia"); err != nil {
		return err
	}
	l := w.startLoad(ctx, 4, media, func(int) string { return "clip.bin" })
	defer l.cancel()
	if err := w.awaitAnswers(ctx, l, "virginia"); err != nil {
		return err
	}
	say.doing("4 clients invoke without a pause; killing Virginia's function server")
	virginia := w.cluster("virginia")
	virginia.fn.kill()
	if err := w.awaitHealth(ctx, "virginia", false); err != nil {
		return err
	}
	l.since()
	if err := w.awaitAnswers(ctx, l, "berlin", "paris"); err != nil {
		return err
	}
	say.doing("starting it again")
	if err := virginia.startFunction(ctx, w.dir); err != nil {
		return err
	}
	if err := w.awaitAnswers(ctx, l, "virginia"); err != nil {
		return err
	}
	if err := l.stop(); err != nil {
		return err
	}
	say.saw("%d invocations, 0 failed; Virginia was left out while it was down, and is used again", l.ok.Load())
	return nil
}

// awaitAnswers waits until each of the places has answered the load.
func (w *world) awaitAnswers(ctx context.Context, l *load, places ...string) error {
	seen := make(map[string]bool)
	err := await(ctx, func() (bool, error) {
		for p := range l.since() {
			seen[p] = true
		}
		return !slices.ContainsFunc(places, func(p string) bool { return !seen[p] }), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for answers from %v, saw %v: %w", places, seen, err)
	}
	return nil
}

// awaitHealth waits until FaDO sees a cluster's function server as up or down.
func (w *world) awaitHealth(ctx context.Context, name string, healthy bool) error {
	return await(ctx, func() (bool, error) {
		var c struct {
			Status struct {
				Functions []struct {
					Healthy bool `json:"healthy"`
				} `json:"functions"`
			} `json:"status"`
		}
		err := w.api(ctx, http.MethodGet, "/fado/clusters/"+name, nil, &c)
		return len(c.Status.Functions) == 1 && c.Status.Functions[0].Healthy == healthy, err
	})
}

func residency(ctx context.Context, w *world, say *display) error {
	const patients = "patients"
	err := errors.Join(
		w.api(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": "berlin-only", "zones": []string{"eu-de"}}, nil),
		w.api(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": patients, "policy": "berlin-only"}, nil),
		w.awaitOK(ctx, say, patients, "berlin"),
	)
	if err != nil {
		return err
	}
	count, err := w.invokeMany(ctx, 20, patients, "")
	if err != nil || count["berlin"] != 20 {
		return fmt.Errorf("20 invocations should run in Berlin: %v: %w", count, err)
	}
	say.saw("20 invocations: %v", count)
	say.doing("killing Berlin's function server")
	berlin := w.cluster("berlin")
	berlin.fn.kill()
	if err := w.awaitHealth(ctx, "berlin", false); err != nil {
		return err
	}
	r, err := w.invoke(ctx, patients, "")
	if err != nil {
		return err
	}
	if r.Status != http.StatusServiceUnavailable || r.Reason != "no-endpoint" {
		return fmt.Errorf("an invocation that may only run in Berlin got %+v", r)
	}
	say.saw("refused with %d, X-FaDO-Reason: %s; Paris and Virginia are up and were not asked", r.Status, r.Reason)
	if err := berlin.startFunction(ctx, w.dir); err != nil {
		return err
	}
	return w.awaitHealth(ctx, "berlin", true)
}
