package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/examples/internal/stage"
)

var walk = []stage.Step[*world]{
	{
		Title: "A MinIO as it is found, and FaDO's S3 endpoint in front of it",
		Why: "A versioned bucket with overwritten and deleted objects, tags, metadata, an upload in parts, and odd keys. FaDO takes it\n" +
			"over without changing anything; from now on clients write, read, list and delete through the endpoint, without a pause.",
		Do: front,
	},
	{
		Title: "The new storage gets a copy, under load",
		Why:   "The policy asks for a second copy. Losses are named before anything depends on the new storage.",
		Do:    copied,
	},
	{
		Title: "Both sides are compared, byte for byte, under load",
		Why:   "A deep verification reads every object at both storages.",
		Do:    verified,
	},
	{
		Title: "The switch, and the way back",
		Why: "The new storage becomes the primary; clients notice nothing. MinIO is kept in step, so that it can be the primary again:\n" +
			"shown by going back, and forth once more.",
		Do: switched,
	},
	{
		Title: "MinIO is left",
		Why: "The policy names the new storage alone. What is in MinIO is compared with the new primary once more and removed. Its older\n" +
			"versions are nowhere else: they go when people say so. Then its cluster is removed, and MinIO is switched off.",
		Do: left,
	},
	{
		Title: "What clients were told is there is there",
		Why:   "The load ends. Every object that was there before or was acknowledged since must be in the new storage, with its content, tags and metadata.",
		Do:    compared,
	},
}

// oddKeys are names that a storage or a copier may get wrong.
var oddKeys = []string{
	"odd/with space and + plus", "odd/ü é 日本語", "odd/100%", "odd/%41 is no A", "odd/a&b=c?d#e", `odd/"quoted" 'twice'`, "odd/semi;colon,comma",
	"odd/trailing.", "odd/.hidden", "odd/" + strings.Repeat("long-", 40),
}

func front(ctx context.Context, w *world, say *stage.Display) error {
	if err := w.seed(ctx, say); err != nil {
		return err
	}
	err := errors.Join(
		w.API(ctx, http.MethodPost, "/fado/zones", map[string]any{"name": "here"}, nil),
		w.declare(ctx, oldPlace, w.old), w.declare(ctx, newPlace, w.new),
		w.API(ctx, http.MethodPost, "/fado/policies", map[string]any{"name": bucket, "clusters": []string{oldPlace}}, nil),
		w.API(ctx, http.MethodPost, "/fado/buckets", map[string]any{"name": bucket, "policy": bucket, "primary": oldPlace}, nil),
	)
	if err != nil {
		return err
	}
	if err := w.AwaitOK(ctx, say, bucket, oldPlace); err != nil {
		return err
	}
	if n, err := versionsOf(ctx, w.atOld); err != nil || n != w.history {
		return fmt.Errorf("MinIO has %d versions, before FaDO it had %d: %w", n, w.history, err)
	}
	say.Saw("the bucket is taken over; MinIO's %d versions are untouched", w.history)
	w.load = startLoad(ctx, w.endpoint, bucket)
	return w.holds(ctx, say, time.Second)
}

// seed fills MinIO.
func (w *world) seed(ctx context.Context, say *stage.Display) error {
	const plain = 200
	say.Doing("filling MinIO: %d objects, versions, tags, an upload in parts, %d odd keys", plain, len(oddKeys))
	err := w.atOld.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
	if err == nil {
		err = w.atOld.EnableVersioning(ctx, bucket)
	}
	if err != nil {
		return err
	}
	w.seeded = make(map[string]object)
	put := func(key string, size int, part uint64) error {
		data := randomBytes(size)
		o := object{sum: sumOf(data), meta: map[string]string{"Origin": "before"}, tags: map[string]string{"kept": "yes"}}
		w.seeded[key] = o
		_, err := w.atOld.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(size), minio.PutObjectOptions{UserMetadata: o.meta, UserTags: o.tags, PartSize: part})
		return err
	}
	for i := range plain {
		key := fmt.Sprintf("before/%03d", i)
		for range 1 + 2*(i%10/9) { // every tenth is written three times
			if err := put(key, 100+i*37, 0); err != nil {
				return err
			}
		}
		if i%50 == 7 {
			if err := w.atOld.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}); err != nil {
				return err
			}
			delete(w.seeded, key)
		}
	}
	for _, key := range oddKeys {
		if err := put(key, 1000, 0); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	if err := put("parts/large", largeSize, partSize); err != nil {
		return err
	}
	w.history, err = versionsOf(ctx, w.atOld)
	return err
}

// versionsOf counts the versions and delete markers of what the seed wrote.
func versionsOf(ctx context.Context, s3 *minio.Client) (n int, err error) {
	for o := range s3.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return n, o.Err
		}
		if !strings.HasPrefix(o.Key, "live/") {
			n++
		}
	}
	return n, nil
}

// holds lets the load go on for a moment, and fails if a request did.
func (w *world) holds(ctx context.Context, say *stage.Display, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
	}
	n, err := w.load.answered()
	if err == nil {
		say.Saw("%d requests of clients so far, 0 failed", n)
	}
	return err
}

func copied(ctx context.Context, w *world, say *stage.Display) error {
	say.Doing(`PATCH /fado/policies/%s {"clusters": ["%s", "%s"], "copies": 2}`, bucket, oldPlace, newPlace)
	if err := w.policy(ctx, oldPlace, newPlace); err != nil {
		return err
	}
	// Objects are always on their way under load: all copies synced, and none stuck, is what there is to wait for.
	var b bucketView
	err := stage.Await(ctx, func() (bool, error) {
		err := w.API(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b)
		if b.Status.State == "stuck" {
			err = fmt.Errorf("it is stuck: %s", b.Status.Reason)
		}
		return b.Status.State == "ok" && len(b.Status.Copies) == 2, err
	})
	if err != nil {
		return fmt.Errorf("the bucket should be ok at some moment, it is %+v: %w", b.Status, err)
	}
	for _, c := range b.Status.Copies {
		if c.Cluster == newPlace {
			say.Saw("the copy is complete; its losses: %s", strings.Join(c.Losses, "; "))
		}
	}
	return w.holds(ctx, say, 0)
}

func verified(ctx context.Context, w *world, say *stage.Display) error {
	say.Doing("POST /fado/buckets/%s/verify?deep=true", bucket)
	if err := w.API(ctx, http.MethodPost, "/fado/buckets/"+bucket+"/verify?deep=true", nil, nil); err != nil {
		return err
	}
	var v struct {
		State, Error                       string
		Objects, Total                     int64
		Mismatches, Repaired, Unrepairable int64
		Keys                               []struct{ Key, Cluster, Reason string }
	}
	err := stage.Await(ctx, func() (bool, error) {
		err := w.API(ctx, http.MethodGet, "/fado/buckets/"+bucket+"/verify", nil, &v)
		say.Progress(v.Objects, v.Total, v.State)
		return v.State == "done" || v.State == "failed", err
	})
	if err != nil || v.State != "done" || v.Mismatches > 0 {
		return fmt.Errorf("the verification should end without a mismatch, it is %+v: %w", v, err)
	}
	say.Saw("%d objects read, 0 mismatches", v.Objects)
	return w.holds(ctx, say, 0)
}

func switched(ctx context.Context, w *world, say *stage.Display) error {
	for _, to := range []string{newPlace, oldPlace, newPlace} {
		say.Doing(`PATCH /fado/buckets/%s {"primary": "%s"}`, bucket, to)
		took, err := w.move(ctx, say, to)
		if err != nil {
			return err
		}
		say.Saw("%s is the primary, after %.1f s", to, took.Seconds())
		if err := w.holds(ctx, say, time.Second); err != nil {
			return err
		}
	}
	var b bucketView
	if err := w.API(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b); err != nil {
		return err
	}
	for _, f := range b.Status.Formers {
		if f.Strays > 0 {
			return fmt.Errorf("%d objects were written at %s since it is not the primary", f.Strays, f.Cluster)
		}
	}
	if b.Status.Conflicts > 0 {
		return fmt.Errorf("%d conflicts: %s", b.Status.Conflicts, b.Status.Reason)
	}
	say.Saw("no conflicts, no strays; slowest request %d ms, %d uploads in parts began again", w.load.slowestSoFar().Milliseconds(), w.load.again.Load())
	return nil
}

func left(ctx context.Context, w *world, say *stage.Display) error {
	say.Doing(`PATCH /fado/policies/%s {"clusters": ["%s"], "copies": 1}`, bucket, newPlace)
	if err := w.policy(ctx, newPlace); err != nil {
		return err
	}
	if err := w.release(ctx, say); err != nil {
		return err
	}
	if err := w.AwaitOK(ctx, say, bucket, newPlace); err != nil {
		return err
	}
	for o := range w.atOld.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		return fmt.Errorf("MinIO still shows %s: %w", o.Key, o.Err)
	}
	n, err := versionsOf(ctx, w.atOld)
	if err != nil || n > 0 {
		return fmt.Errorf("MinIO still has %d versions: %w", n, err)
	}
	say.Saw("MinIO has nothing of the bucket")
	if err := w.API(ctx, http.MethodDelete, "/fado/clusters/"+oldPlace, nil, nil); err != nil {
		return err
	}
	w.old.Stop()
	say.Saw("its cluster is removed, and MinIO is off")
	return w.holds(ctx, say, time.Second)
}

// release waits until the copy in MinIO is kept by its older versions alone, and gives them up.
func (w *world) release(ctx context.Context, say *stage.Display) error {
	var b bucketView
	err := stage.Await(ctx, func() (bool, error) {
		err := w.API(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b)
		return strings.Contains(b.Status.Reason, "versions are nowhere else"), err
	})
	if err != nil {
		return fmt.Errorf("the bucket should be stuck by versions that are nowhere else, it is %+v: %w", b.Status, err)
	}
	n, err := versionsOf(ctx, w.atOld)
	if err != nil || n < w.history {
		return fmt.Errorf("MinIO has %d versions of what it had %d of before: %w", n, w.history, err)
	}
	say.Saw("the bucket is %s: %s", b.Status.State, b.Status.Reason)
	say.Doing(`POST /fado/buckets/%s/release {"purge": "history", "cluster": "%s"}`, bucket, oldPlace)
	var answer struct{ Objects int64 }
	err = w.API(ctx, http.MethodPost, "/fado/buckets/"+bucket+"/release", map[string]any{"purge": "history", "cluster": oldPlace}, &answer)
	if err == nil {
		say.Saw("older versions of %d objects are removed for good", answer.Objects)
	}
	return err
}

func compared(ctx context.Context, w *world, say *stage.Display) error {
	if err := w.load.end(); err != nil {
		return err
	}
	want := maps.Clone(w.seeded)
	maps.Copy(want, w.load.there)
	seen := 0
	for o := range w.atNew.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return o.Err
		}
		if _, ok := want[o.Key]; !ok {
			return fmt.Errorf("%s is there, and was deleted or never written", o.Key)
		}
		seen++
	}
	if seen != len(want) {
		return fmt.Errorf("%d objects are there, want %d", seen, len(want))
	}
	for i, key := range slices.Sorted(maps.Keys(want)) {
		if err := w.same(ctx, key, want[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		say.Progress(int64(i+1), int64(len(want)), key)
	}
	say.Saw("%d objects from before and %d written since: content, tags and metadata as they were written", len(w.seeded), len(w.load.there))
	say.Saw("%d requests of clients, 0 failed; slowest %d ms", w.load.done.Load(), w.load.slowestSoFar().Milliseconds())
	return nil
}

// same compares an object at the new storage with what it should be.
func (w *world) same(ctx context.Context, key string, want object) error {
	data, err := content(ctx, w.atNew, bucket, key)
	if err != nil {
		return err
	}
	if sumOf(data) != want.sum {
		return fmt.Errorf("%d bytes of another content", len(data))
	}
	info, err := w.atNew.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return err
	}
	for k, v := range want.meta {
		if info.UserMetadata[k] != v {
			return fmt.Errorf("metadata %s is %q, want %q", k, info.UserMetadata[k], v)
		}
	}
	tags, err := w.atNew.GetObjectTagging(ctx, bucket, key, minio.GetObjectTaggingOptions{})
	if err != nil {
		return err
	}
	if got := tags.ToMap(); !maps.Equal(got, want.tags) && len(got)+len(want.tags) > 0 {
		return fmt.Errorf("tags are %v, want %v", got, want.tags)
	}
	return nil
}
