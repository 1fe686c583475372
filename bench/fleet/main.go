// Command fleet fills an SQLite database with the catalogue of a large fleet that has settled: every bucket
// has its copies, and all are synced. What holds a hundred thousand buckets is measured with it, since making
// them in storages takes an hour.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

const chunk = 1000 // buckets in one transaction

func main() {
	path := flag.String("path", "", "the file of the database")
	buckets := flag.Int("buckets", 100_000, "how many buckets there are")
	flag.Parse()
	if err := fill(context.Background(), *path, *buckets); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fill(ctx context.Context, path string, buckets int) error {
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.Catalogue().Update(ctx, func(tx state.Tx) error {
		for name, body := range map[string]any{
			"p-eu":  map[string]any{"name": "p-eu", "zones": []string{"eu"}, "copies": 2},
			"p-all": map[string]any{"name": "p-all", "copies": "all"},
		} {
			if err := put(tx, catalog.KindPolicy, name, body); err != nil {
				return err
			}
		}
		return nil
	})
	for from := 0; from < buckets && err == nil; from += chunk {
		_, err = store.Catalogue().Update(ctx, func(tx state.Tx) error {
			for i := from; i < min(from+chunk, buckets); i++ {
				if err := bucket(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// bucket is in berlin and paris, and every tenth in virginia, too.
func bucket(tx state.Tx, i int) error {
	name, policy, clusters := fmt.Sprintf("b-%06d", i), "p-eu", []string{"berlin", "paris"}
	if i%10 == 0 {
		policy, clusters = "p-all", append(clusters, "virginia")
	}
	if err := put(tx, catalog.KindBucket, name, map[string]any{"name": name, "policy": policy}); err != nil {
		return err
	}
	for i, cluster := range clusters {
		cp := catalog.Copy{Cluster: cluster, Primary: i == 0, State: catalog.CopySynced, Verified: true}
		if err := tx.PutCopy(state.Copy{Bucket: name, Copy: cp}); err != nil {
			return err
		}
	}
	return nil
}

func put(tx state.Tx, kind catalog.Kind, name string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return tx.Put(state.Record{Kind: kind, Name: name, Body: text})
}
