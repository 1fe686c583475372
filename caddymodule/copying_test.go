package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// TestReloadsWhileCopying reloads again and again while objects are written to one
// MinIO and copied to another, with settings that make the engine stop its feeds and
// begin again. Every object arrives, and nothing is left running.
func TestReloadsWhileCopying(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two MinIOs")
	}
	noLeaks(t)
	from, to := testenv.MinIO(t), testenv.MinIO(t)
	t.Setenv("FADO_TEST_SECRET_1", from.SecretKey)
	t.Setenv("FADO_TEST_SECRET_2", to.SecretKey)
	db := filepath.Join(t.TempDir(), "fado.db")
	with := func(replication string) config {
		return parse(t, fmt.Sprintf(`
		fado {
			store sqlite %s
			zone eu
			cluster c1 {
				zones eu
				storage %s {
					access_key %s
					secret_key {env.FADO_TEST_SECRET_1}
				}
			}
			cluster c2 {
				zones eu
				storage %s {
					access_key %s
					secret_key {env.FADO_TEST_SECRET_2}
				}
			}
			policy both {
				copies all
			}
			bucket data {
				policy both
				primary c1
			}
			replication {
				%s
			}
		}`, db, from.Endpoint, from.AccessKey, to.Endpoint, to.AccessKey, replication), "")
	}
	settings := []string{"workers 4", "workers 8\nevent_feed off", "bandwidth 50MiB\nscan_interval 1h"}
	mustLoad(t, with(settings[0]))
	await(t, "the copy in c2", func(s control.BucketStatus) bool { return s.State == "ok" && len(s.Copies) == 2 })

	const objects = 150
	before := counted(t, "caddy_fado_replicated_objects_total")
	source, target := from.NewClient(t), to.NewClient(t)
	for i := range objects {
		body := bytes.NewReader([]byte("object " + fmt.Sprint(i)))
		if _, err := source.PutObject(t.Context(), "data", fmt.Sprintf("key-%03d", i), body, body.Size(), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			mustLoad(t, with(settings[i/10%len(settings)]))
		}
	}
	// What no feed listened to is found by a scan.
	if err := running(t).Replication().SyncBucket(t.Context(), "data"); err != nil {
		t.Fatal(err)
	}
	await(t, "all objects in c2", func(control.BucketStatus) bool {
		n := 0
		for o := range target.ListObjects(t.Context(), "data", minio.ListObjectsOptions{Recursive: true}) {
			if o.Err == nil {
				n++
			}
		}
		return n == objects
	})
	// A copy that a reload interrupts between the write and the bookkeeping is found to
	// be there already and not counted, so the count may be a little short.
	if copied := counted(t, "caddy_fado_replicated_objects_total") - before; copied < objects/2 {
		t.Errorf("%v objects were counted, %d copied", copied, objects)
	}
}

// await looks at the bucket's status whenever something happens, until it is as wanted.
func await(t *testing.T, what string, done func(control.BucketStatus) bool) {
	t.Helper()
	c := running(t).Control()
	sub := c.Events().Subscribe(64)
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	again := time.NewTicker(250 * time.Millisecond) // events may be missed
	defer again.Stop()
	for {
		status, err := c.Status.Bucket(ctx, "data")
		if err == nil && done(status) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come about: %+v (%v)", what, status, err)
		case <-sub.C:
		case <-again.C:
		}
	}
}
