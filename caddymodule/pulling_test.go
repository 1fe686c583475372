package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
)

// TestInvocationsPullTheirObjects runs the whole of it: invocations by HTTP that name an
// object which lies in a cluster without functions wait for one copy of it, and run beside
// that.
func TestInvocationsPullTheirObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two MinIOs")
	}
	noLeaks(t)
	far, near := testenv.MinIO(t), testenv.MinIO(t)
	t.Setenv("FADO_TEST_SECRET_1", far.SecretKey)
	t.Setenv("FADO_TEST_SECRET_2", near.SecretKey)
	source := far.NewClient(t)
	if err := source.MakeBucket(t.Context(), "data", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	mustLoad(t, parse(t, fmt.Sprintf(`
		fado {
			store sqlite %s
			zone eu
			cluster far {
				zones eu
				storage %s {
					access_key %s
					secret_key {env.FADO_TEST_SECRET_1}
				}
			}
			cluster near {
				zones eu
				storage %s {
					access_key %s
					secret_key {env.FADO_TEST_SECRET_2}
				}
				function %s
			}
			policy pulled {
				on_miss pull
				pull_timeout 60s
			}
			bucket data {
				policy pulled
				primary far
			}
		}`, filepath.Join(t.TempDir(), "fado.db"), far.Endpoint, far.AccessKey, near.Endpoint, near.AccessKey, functionServer(t, "near")),
		fmt.Sprintf(`http://127.0.0.1:%d {
			reverse_proxy {
				dynamic fado
				transport fado
				lb_policy data_aware
			}
		}`, port)))
	await(t, "the bucket", func(s control.BucketStatus) bool { return s.State == "ok" })
	router := running(t).Router()
	await(t, "both storages are up", func(control.BucketStatus) bool {
		snap := router.Snapshot()
		return snap.ClusterState("far").Storage() == routing.StorageUp && snap.ClusterState("near").Storage() == routing.StorageUp
	})
	content := strings.Repeat("x", 50_000)
	if _, err := source.PutObject(t.Context(), "data", "a b", bytes.NewReader([]byte(content)), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	invoke := func(object string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-FaDO-Bucket", "data")
		req.Header.Set("X-FaDO-Object", object)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return &http.Response{Header: http.Header{}}
		}
		_ = resp.Body.Close()
		return resp
	}
	before := counted(t, "caddy_fado_replicated_objects_total")
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			resp := invoke("a%20b")
			if l, c := resp.Header.Get("X-FaDO-Locality"), resp.Header.Get("X-FaDO-Cluster"); l != "local" || c != "near" || resp.StatusCode != http.StatusOK {
				t.Errorf("%d, %s in %q", resp.StatusCode, l, c)
			}
		})
	}
	callers.Wait()
	if n := counted(t, "caddy_fado_replicated_objects_total") - before; n != 1 {
		t.Errorf("%v copies for 50 callers", n)
	}
	o, err := near.NewClient(t).GetObject(t.Context(), "data", "a b", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || string(got) != content {
		t.Errorf("%d bytes are near, %v", len(got), err)
	}
	if l := invoke("none").Header.Get("X-FaDO-Locality"); l != "remote" {
		t.Errorf("an object that is nowhere: %s", l)
	}
}
