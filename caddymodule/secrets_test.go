package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// TestNarrowerSecrets: a cluster that the API made is not opened when the configuration in
// force does not allow what its keys name, be it a reload of one that did or a start with a
// store of before. Nothing of the file is sent; the cluster stays as it is, says why it is
// down, and works again under patterns that allow it. What the configuration declares may name
// anything.
func TestNarrowerSecrets(t *testing.T) {
	noLeaks(t)
	const key = "of-the-file"
	dir := t.TempDir()
	file, own := filepath.Join(dir, "key"), filepath.Join(t.TempDir(), "own")
	for name, content := range map[string]string{file: key, own: "own"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var shown atomic.Int64 // requests signed with the file's key
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "Credential="+key+"/") {
			shown.Add(1)
		}
		fmt.Fprint(w, "<ListAllMyBucketsResult></ListAllMyBucketsResult>")
	}))
	t.Cleanup(server.Close)
	with := func(secrets string) config {
		return parse(t, fmt.Sprintf(`
		fado {
			store sqlite %s
			node tester
			%s
			zone eu
			cluster declared {
				zones eu
				storage %s {
					access_key {file.%s}
					secret_key s
					bucket_prefix declared-
				}
			}
		}`, filepath.Join(dir, "fado.db"), secrets, server.URL, own), "")
	}
	wide, narrow := with("secrets {file."+dir+"/*}"), with("")
	mustLoad(t, wide)
	_, err := running(t).Control().Resources.Create(context.Background(), &catalog.Cluster{
		Name: "made", Zones: []string{"eu"},
		Storage: &catalog.Storage{Endpoint: server.URL, AccessKey: "{file." + file + "}", SecretKey: "s", BucketPrefix: "made-"},
	})
	if err != nil {
		t.Fatal(err)
	}
	awaitStorage(t, "made", "up", "")

	refused := func(how string) {
		t.Helper()
		awaitStorage(t, "made", "down", "access_key names a placeholder that the option secrets does not allow")
		awaitStorage(t, "declared", "up", "")
		item, err := running(t).Control().Resources.Get(context.Background(), catalog.KindCluster, "made")
		if cl, ok := item.Resource.(*catalog.Cluster); err != nil || !ok || cl.Storage.AccessKey != "{file."+file+"}" || item.Origin != control.OriginAPI {
			t.Errorf("%s: %+v (%v)", how, item, err)
		}
	}
	mustLoad(t, narrow)
	refused("a reload")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	before := shown.Load()
	mustLoad(t, narrow)
	refused("a start")
	if got := shown.Load() - before; got > 0 || before == 0 {
		t.Errorf("%d requests with the file's key while it was allowed, %d after a start without", before, got)
	}
	mustLoad(t, wide)
	awaitStorage(t, "made", "up", "")
}

// awaitStorage waits until a cluster's storage is in a state, for a reason that contains why.
func awaitStorage(t *testing.T, cluster, state, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		s := running(t).Replication().Reports().Storage(cluster)
		if s.State == state && strings.Contains(s.Error, why) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the storage of %s is %s: %q, want %s: %q", cluster, s.State, s.Error, state, why)
		case <-again.C:
		}
	}
}
