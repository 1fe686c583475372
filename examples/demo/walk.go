package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/fado-project/fado/client"
	"github.com/fado-project/fado/examples/internal/stage"
)

var walk = []stage.Step[*world]{
	{
		Title: "A bucket is written in one place; its copies appear where the policy allows",
		Why: "Policy \"reports\": 2 copies, inside the zone eu only. The objects are written at Berlin's\n" +
			"MinIO with a plain S3 client. FaDO must copy them to Paris, and never to Virginia.",
		Do: copies,
	},
	{
		Title: "One S3 endpoint for all storages: what is written is what is read next",
		Why: "An S3 client writes at FaDO's own endpoint, which is in Paris. The bytes must go to Berlin, where\n" +
			"the bucket is written; each read right after must give the new version, from Paris once it is there.",
		Do: throughTheEndpoint,
	},
	{
		Title: "Invocations go where the data is",
		Why:   "Requests that name the bucket must reach Berlin and Paris, which hold it, and not Virginia.",
		Do:    routeByBucket,
	},
	{
		Title: "An invocation that names an object reads it next door",
		Why: "The function reads the object from the storage FaDO names in X-FaDO-Storage, and answers the\n" +
			"SHA-256 of what it read.",
		Do: routeByObject,
	},
	{
		Title: "Freshness: an object is overwritten while it is being asked for",
		Why:   "Between the overwrite and its verified copy only the place that holds the new version may answer.",
		Do:    freshness,
	},
	{
		Title: "A policy change moves data and traffic, under load, without a failed request",
		Why: "A document changes the policy: from two copies in eu to one copy in us. Its plan says what that moves; then\n" +
			"it is applied. The data must be copied to Virginia and verified, Virginia becomes the primary, traffic moves,\n" +
			"and only then the old copies go.",
		Do: policyChange,
	},
	{
		Title: "A function server fails",
		Why: "Bucket \"media\" is everywhere. Virginia's function server is killed: its requests must go on\n" +
			"elsewhere at once, and come back when it does.",
		Do: functionFails,
	},
	{
		Title: "Residency: what may not run somewhere does not run at all",
		Why: "Bucket \"patients\" may only be in Berlin. With Berlin's function server gone, FaDO must refuse\n" +
			"rather than send the invocation anywhere else.",
		Do: residency,
	},
}

func reportKey(i int) string { return fmt.Sprintf("q%d/report-%03d.bin", i%4+1, i) }

func copies(ctx context.Context, w *world, say *stage.Display) error {
	const n = 60
	say.Doing("POST /fado/policies and /fado/buckets")
	err := errors.Join(
		w.API(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": reports, "copies": 2, "zones": []string{"eu"}, "prefer": []string{"berlin"}}, nil),
		w.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": reports, "policy": reports}, nil),
	)
	if err != nil {
		return err
	}
	if err := w.AwaitOK(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	say.Doing("writing %d objects of 1 KiB to 4 MiB at Berlin's storage", n)
	for i := range n {
		if _, err := w.place("berlin").Put(ctx, reports, reportKey(i), 1<<(10+i%13), 1); err != nil {
			return err
		}
		say.Progress(int64(i+1), n, reportKey(i))
	}
	start := time.Now()
	if err := w.awaitSame(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	say.Saw("Paris holds the same %d objects (same ETags), %d ms after the last write", n, time.Since(start).Milliseconds())
	there, err := w.place("virginia").S3.BucketExists(ctx, reports)
	if err != nil || there {
		return fmt.Errorf("virginia must not have the bucket (has it: %t): %w", there, err)
	}
	say.Saw("Virginia's storage has no such bucket")
	return nil
}

// awaitSame waits until two clusters list the same objects and FaDO says ok.
func (w *world) awaitSame(ctx context.Context, say *stage.Display, bucket, a, b string) error {
	err := stage.Await(ctx, func() (bool, error) {
		x, err := w.place(a).Keys(ctx, bucket)
		if err != nil {
			return false, err
		}
		y, err := w.place(b).Keys(ctx, bucket)
		say.Progress(int64(len(y)), int64(len(x)), fmt.Sprintf("%d of %d objects in %s", len(y), len(x), b))
		return maps.Equal(x, y), err
	})
	if err != nil {
		return fmt.Errorf("bucket %s should be the same in %s and %s: %w", bucket, a, b, err)
	}
	return w.AwaitOK(ctx, say, bucket, a, b)
}

func routeByBucket(ctx context.Context, w *world, say *stage.Display) error {
	const n = 60
	count, err := w.InvokeMany(ctx, n, reports, "")
	if err != nil {
		return err
	}
	if count["virginia"] > 0 || count["berlin"] == 0 || count["paris"] == 0 {
		return fmt.Errorf("of %d invocations naming the bucket, answers by place: %v", n, count)
	}
	say.Saw("%d invocations: %v, none in Virginia", n, count)
	free, err := w.InvokeMany(ctx, n, "", "")
	if err != nil {
		return err
	}
	if free["virginia"] == 0 {
		return fmt.Errorf("invocations that name no data should use every place: %v", free)
	}
	say.Saw("%d invocations that name no data: %v", n, free)
	return nil
}

func routeByObject(ctx context.Context, w *world, say *stage.Display) error {
	key := "q9/über den Umsatz + 5%.bin"
	sum, err := w.place("berlin").Put(ctx, reports, key, 1<<20, 1)
	if err != nil {
		return err
	}
	// A write made directly at a storage is known within the feed's delay.
	if err := w.awaitSame(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	r, err := w.Invoke(ctx, reports, key)
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK || r.SHA256 != sum || r.Locality != "local" {
		return fmt.Errorf("asked for %q with SHA-256 %s, got %+v", key, sum, r)
	}
	say.Saw("%q: %s read %d bytes from %s, SHA-256 as written, locality %s", key, r.Function, r.Bytes, r.Storage, r.Locality)
	return nil
}

func freshness(ctx context.Context, w *world, say *stage.Display) error {
	const key, rounds, size = "hot/dataset.bin", 5, 64 << 20
	berlin := w.place("berlin")
	if _, err := berlin.Put(ctx, reports, key, size, 0); err != nil {
		return err
	}
	if err := w.awaitSame(ctx, say, reports, "berlin", "paris"); err != nil {
		return err
	}
	asked, stale, byPlace := 0, 0, make(map[string]int)
	for v := 1; v <= rounds; v++ {
		say.Doing("overwriting %s (64 MiB) in Berlin: version %d", key, v)
		if _, err := berlin.Put(ctx, reports, key, size, v); err != nil {
			return err
		}
		// Writes made directly at a storage are known within the feed's delay.
		time.Sleep(250 * time.Millisecond)
		for range 12 {
			r, err := w.Invoke(ctx, reports, key)
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
	say.Saw("%d invocations right behind %d overwrites: every answer from the newest version (%v)", asked, rounds, byPlace)
	return nil
}

func policyChange(ctx context.Context, w *world, say *stage.Display) error {
	l := w.StartLoad(ctx, 4, reports, func(i int) string { return reportKey(i % 60) })
	defer l.Cancel()
	say.Doing("4 clients invoke without a pause")
	before, err := w.place("berlin").Keys(ctx, reports)
	if err != nil {
		return err
	}
	if err := planned(ctx, w, say); err != nil {
		return err
	}
	l.Since()
	if err := w.AwaitOK(ctx, say, reports, "virginia"); err != nil {
		return err
	}
	places := l.Since()
	if err := l.Stop(); err != nil {
		return err
	}
	after, err := w.place("virginia").Keys(ctx, reports)
	if err != nil {
		return err
	}
	if !maps.Equal(before, after) {
		return fmt.Errorf("virginia holds %d objects, berlin held %d", len(after), len(before))
	}
	say.Saw("Virginia holds all %d objects and is the primary", len(after))
	for _, name := range []string{"berlin", "paris"} {
		if left, err := w.place(name).Keys(ctx, reports); err != nil || len(left) > 0 {
			return fmt.Errorf("%s still holds %d objects: %w", name, len(left), err)
		}
	}
	say.Saw("Berlin and Paris hold none")
	say.Saw("%d invocations meanwhile, 0 failed; since the change they ran in %v", l.OK(), places)
	return nil
}

// planned looks at what a document would do, and applies exactly that.
func planned(ctx context.Context, w *world, say *stage.Display) error {
	doc := client.Document{Body: []byte("fado: 1\npolicies:\n- {name: reports, copies: 1, zones: [us]}\n"), ContentType: "application/yaml"}
	say.Doing("POST /fado/plan: {fado: 1, policies: [{name: reports, copies: 1, zones: [us]}]}")
	api := &client.Client{URL: w.AdminURL}
	p, err := api.Plan(ctx, doc, client.PlanPage{})
	if err != nil {
		return err
	}
	if len(p.Moves.Buckets) != 1 || p.Moves.Buckets[0].Primary == nil || !slices.Equal(p.Moves.Buckets[0].Add, []string{"virginia"}) || !slices.Equal(p.Moves.Buckets[0].Remove, []string{"berlin", "paris"}) {
		return fmt.Errorf("the plan should move bucket %s to Virginia: %+v", reports, p.Moves.Buckets)
	}
	m := p.Moves.Buckets[0]
	say.Saw("the plan: %s gets a copy (%d objects, %d MiB), %v lose theirs, the primary moves from %s to %s", m.Add[0], m.Objects, m.Bytes>>20, m.Remove, m.Primary.From, m.Primary.To)
	say.Doing("POST /fado/apply with the plan's ETag")
	_, err = api.Apply(ctx, doc, p.ETag)
	return err
}

func functionFails(ctx context.Context, w *world, say *stage.Display) error {
	const media = "media"
	err := errors.Join(
		w.API(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": "everywhere", "copies": "all"}, nil),
		w.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": media, "policy": "everywhere", "primary": "paris"}, nil),
		w.AwaitOK(ctx, say, media, "berlin", "paris", "virginia"),
	)
	if err != nil {
		return err
	}
	if _, err := w.place("paris").Put(ctx, media, "clip.bin", 256<<10, 1); err != nil {
		return err
	}
	if err := w.AwaitOK(ctx, say, media, "berlin", "paris", "virginia"); err != nil {
		return err
	}
	l := w.StartLoad(ctx, 4, media, func(int) string { return "clip.bin" })
	defer l.Cancel()
	if err := l.AwaitAnswers(ctx, "virginia"); err != nil {
		return err
	}
	say.Doing("4 clients invoke without a pause; killing Virginia's function server")
	virginia := w.place("virginia")
	virginia.Fn.Kill()
	if err := w.awaitHealth(ctx, "virginia", false); err != nil {
		return err
	}
	l.Since()
	if err := l.AwaitAnswers(ctx, "berlin", "paris"); err != nil {
		return err
	}
	say.Doing("starting it again")
	if err := virginia.StartFunction(ctx); err != nil {
		return err
	}
	if err := l.AwaitAnswers(ctx, "virginia"); err != nil {
		return err
	}
	if err := l.Stop(); err != nil {
		return err
	}
	say.Saw("%d invocations, 0 failed; Virginia was left out while it was down, and is used again", l.OK())
	return nil
}

// awaitHealth waits until FaDO sees a cluster's function server as up or down.
func (w *world) awaitHealth(ctx context.Context, name string, healthy bool) error {
	return stage.Await(ctx, func() (bool, error) {
		var c struct {
			Status struct {
				Functions []struct {
					Healthy bool `json:"healthy"`
				} `json:"functions"`
			} `json:"status"`
		}
		err := w.API(ctx, http.MethodGet, "/fado/clusters/"+name, nil, &c)
		return len(c.Status.Functions) == 1 && c.Status.Functions[0].Healthy == healthy, err
	})
}

func residency(ctx context.Context, w *world, say *stage.Display) error {
	const patients = "patients"
	err := errors.Join(
		w.API(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": "berlin-only", "zones": []string{"eu-de"}}, nil),
		w.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": patients, "policy": "berlin-only"}, nil),
		w.AwaitOK(ctx, say, patients, "berlin"),
	)
	if err != nil {
		return err
	}
	count, err := w.InvokeMany(ctx, 20, patients, "")
	if err != nil || count["berlin"] != 20 {
		return fmt.Errorf("20 invocations should run in Berlin: %v: %w", count, err)
	}
	say.Saw("20 invocations: %v", count)
	say.Doing("killing Berlin's function server")
	berlin := w.place("berlin")
	berlin.Fn.Kill()
	if err := w.awaitHealth(ctx, "berlin", false); err != nil {
		return err
	}
	r, err := w.Invoke(ctx, patients, "")
	if err != nil {
		return err
	}
	if r.Status != http.StatusServiceUnavailable || r.Reason != "no-endpoint" {
		return fmt.Errorf("an invocation that may only run in Berlin got %+v", r)
	}
	say.Saw("refused with %d, X-FaDO-Reason: %s; Paris and Virginia are up and were not asked", r.Status, r.Reason)
	if err := berlin.StartFunction(ctx); err != nil {
		return err
	}
	return w.awaitHealth(ctx, "berlin", true)
}
