package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

// BenchmarkFleet is what the console asks of a fleet of 100,000 buckets with three copies each, of 10,000 in PostgreSQL.
func BenchmarkFleet(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "fado.db")})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { store.Close() })
		benchmarkFleet(b, store, 100_000)
	})
	b.Run("postgres", func(b *testing.B) {
		store, err := postgres.Open(b.Context(), postgres.Options{DSN: testenv.PostgresDatabase(b), Key: []byte("a passphrase of the tests")})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { store.Close() })
		benchmarkFleet(b, store, 10_000) // what is asked of the store is the same
	})
}

func putFleetBucket(tx state.Tx, name string) error {
	body, _ := json.Marshal(map[string]string{"name": name, "policy": "p"})
	if err := tx.Put(state.Record{Kind: catalog.KindBucket, Name: name, Body: body}); err != nil {
		return err
	}
	for c := range 3 {
		cp := catalog.Copy{Cluster: fmt.Sprintf("c%d", c), Primary: c == 0, State: catalog.CopySynced}
		if err := tx.PutCopy(state.Copy{Bucket: name, Copy: cp}); err != nil {
			return err
		}
	}
	return nil
}

func benchmarkFleet(b *testing.B, store state.Store, n int) {
	b.Helper()
	const chunk = 1000
	cfg := control.Config{Zones: []*catalog.Zone{{Name: "eu"}}, Policies: []*catalog.Policy{{Name: "p", Copies: catalog.Copies{N: 3}}}}
	for i := range 3 {
		cfg.Clusters = append(cfg.Clusters, &catalog.Cluster{
			Name: fmt.Sprintf("c%d", i), Zones: []string{"eu"},
			Storage: &catalog.Storage{Endpoint: fmt.Sprintf("http://127.0.0.1:%d", 9010+i)},
		})
	}
	for from := 0; from < n; from += chunk {
		_, err := store.Catalogue().Update(b.Context(), func(tx state.Tx) error {
			for i := from; i < from+chunk; i++ {
				if err := putFleetBucket(tx, fmt.Sprintf("b-%06d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	h := startOn(b, store, cfg)
	look := func(b *testing.B) {
		for b.Loop() {
			if _, err := new(fleet.Looks).Get(b.Context(), h.ctl.Status); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("look", look)
	storage := h.ctl.Router().Snapshot().ClusterState("c2")
	storage.SetStorage(routing.StorageDown)
	b.Run("look,all stuck", look)
	storage.SetStorage(routing.StorageUp)
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			look, err := new(fleet.Looks).Get(b.Context(), h.ctl.Status)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			s := fleet.Search{Snapshot: h.ctl.Router().Snapshot(), Fleet: look, OriginOf: func(bucket string) control.Origin { return h.backend.catalogue.Origin(catalog.KindBucket, bucket) }}
			if _, total := s.Ordered(fleet.ByState); total != n {
				b.Fatalf("%d of %d buckets", total, n)
			}
		}
	})
	b.Run("copies", func(b *testing.B) {
		for b.Loop() {
			if sums := new(fleet.Fleet).Copies(h.ctl.Router().Snapshot()); len(sums) != 3 || sums[0].Synced != n {
				b.Fatalf("%+v", sums)
			}
		}
	})
	middle := fmt.Sprintf("b-%06d", n/2)
	for name, path := range map[string]string{
		"page":             "/fado/buckets?limit=200&after=" + middle,
		"page,bare":        "/fado/buckets?limit=200&after=" + middle + "&status=false",
		"search,few":       "/fado/buckets?limit=200&q=777",
		"search,many":      "/fado/buckets?limit=200&q=b-0",
		"search,default":   "/fado/buckets?q=b-0",
		"cluster":          "/fado/buckets?limit=200&cluster=c1&after=" + middle,
		"state":            "/fado/buckets?limit=200&state=ok",
		"matrix":           "/fado/matrix?limit=200&after=" + middle,
		"matrix by policy": "/fado/matrix?by=policy",
		"summary":          "/fado/summary?by=policy",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				resp, err := http.Get(h.url + path)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}
