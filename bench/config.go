package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func bucketName(i int) string { return fmt.Sprintf("bucket-%07d", i) }

func clusterName(i int) string { return fmt.Sprintf("c%d", i%backendCount+1) }

// seed writes a store with n buckets, each with so many copies, as a FaDO that has
// synced them all would leave it.
func (e *env) seed(ctx context.Context, n, copies int) (path string, err error) {
	path = filepath.Join(e.dir, fmt.Sprintf("seed-%d-%d", n, copies), "fado.db")
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return "", err
	}
	defer store.Close()
	const chunk = 10_000
	for at := 0; at < n; at += chunk {
		_, err := store.Catalogue().Update(ctx, func(tx state.Tx) error {
			for i := at; i < min(at+chunk, n); i++ {
				if err := seedBucket(tx, i, copies); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return path, nil
}

func seedBucket(tx state.Tx, i, copies int) error {
	b := &catalog.Bucket{Name: bucketName(i), Policy: "p"}
	b.Normalize()
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	err = tx.Put(state.Record{
		Kind: catalog.KindBucket, Name: b.Name, Body: body, Refs: []state.Ref{{Kind: catalog.KindPolicy, Name: "p"}},
	})
	for c := range copies {
		if err == nil {
			err = tx.PutCopy(state.Copy{Bucket: b.Name, Copy: catalog.Copy{
				Cluster: clusterName(i + c), Primary: c == 0, State: catalog.CopySynced,
			}})
		}
	}
	return err
}

// fadoApp is the app over a seeded store: three clusters whose functions are the
// backends. Replication is off: the storages are not there.
func (e *env) fadoApp(store string, copies int) map[string]any {
	var zones, clusters []any
	for i := range backendCount {
		zones = append(zones, map[string]any{"name": fmt.Sprintf("z%d", i+1)})
		clusters = append(clusters, map[string]any{
			"name": clusterName(i), "zones": []string{fmt.Sprintf("z%d", i+1)},
			"storage":   map[string]any{"endpoint": fmt.Sprintf("http://127.0.0.1:%d", i+1)},
			"functions": []any{map[string]any{"url": e.urls[i]}},
		})
	}
	return map[string]any{
		"store": map[string]any{"type": "sqlite", "path": store}, "node": "bench",
		"zones": zones, "clusters": clusters,
		"policies":    []any{map[string]any{"name": "p", "copies": copies}, map[string]any{"name": "only-c2", "clusters": []string{"c2"}}},
		"replication": map[string]any{"disabled": true},
	}
}

// site is an HTTP server of Caddy with its routes.
func site(addr string, routes ...any) map[string]any {
	return map[string]any{"listen": []string{addr}, "routes": routes, "automatic_https": map[string]any{"disable": true}}
}

func dataAware() map[string]any {
	return map[string]any{"handle": []any{map[string]any{
		"handler": "reverse_proxy", "dynamic_upstreams": map[string]any{"source": "fado"},
		"transport":      map[string]any{"protocol": "fado"},
		"load_balancing": map[string]any{"selection_policy": map[string]any{"policy": "data_aware"}},
	}}}
}

func (e *env) upstreams() (ups []any) {
	for _, u := range e.urls {
		ups = append(ups, map[string]any{"dial": strings.TrimPrefix(u, "http://")})
	}
	return ups
}

func (e *env) leastConn() map[string]any {
	return map[string]any{"handle": []any{map[string]any{
		"handler": "reverse_proxy", "upstreams": e.upstreams(),
		"load_balancing": map[string]any{"selection_policy": map[string]any{"policy": "least_conn"}},
	}}}
}

// routePerBucket is the way of FaDO's predecessor: a route matched by header for
// every bucket.
func (e *env) routePerBucket(n int) (routes []any) {
	for i := range n {
		r := e.leastConn()
		r["match"] = []any{map[string]any{"header": map[string]any{"X-Fado-Bucket": []string{bucketName(i)}}}}
		r["terminal"] = true
		routes = append(routes, r)
	}
	return routes
}
