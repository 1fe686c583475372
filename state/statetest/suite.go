package statetest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Fixture is an empty store, and ways to come back to what it keeps.
type Fixture struct {
	// Store is open and empty. The suite closes it.
	Store state.Store
	// Reopen opens the same store again after it was closed.
	Reopen func() state.Store
	// Another opens a second instance on the same store while the first is open. Nil
	// where a store serves one instance.
	Another func() state.Store
}

// ctx is what tests that are not about contexts pass on.
var ctx = context.Background()

// epoch is a moment tests count from. Its microseconds are cut off by the store.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// tb is what helpers need of testing.T and rapid.T.
type tb = rapid.TB

func ok(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func isErr(t tb, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func equal[T any](t tb, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// must unpacks a result: must(s.Seq(ctx))(t).
func must[T any](v T, err error) func(tb) T {
	return func(t tb) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func update(t tb, s state.Store, f func(tx state.Tx) error) state.Seq {
	t.Helper()
	return must(s.Catalogue().Update(ctx, f))(t)
}

// put stores records as one change and returns them as they should read back.
func put(t tb, s state.Store, records ...state.Record) []state.Record {
	t.Helper()
	seq := update(t, s, func(tx state.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range records {
		records[i].Rev = seq
	}
	return records
}

func putCopies(t tb, s state.Store, copies ...state.Copy) {
	t.Helper()
	update(t, s, func(tx state.Tx) error {
		for _, c := range copies {
			if err := tx.PutCopy(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func record(k catalog.Kind, name, body string, refs ...state.Ref) state.Record {
	return state.Record{Kind: k, Name: name, Body: json.RawMessage(body), Refs: refs}
}

func ref(k catalog.Kind, name string) state.Ref { return state.Ref{Kind: k, Name: name} }

func names(records []state.Record) []string {
	all := []string{}
	for _, r := range records {
		all = append(all, r.Name)
	}
	return all
}

func pending(bucket, key, cluster string) state.Pending {
	return state.Pending{Bucket: bucket, Key: key, Cluster: cluster, Since: epoch}
}

func keyOf(p state.Pending) state.PendingKey {
	return state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
}

func keysOf(rows []state.Pending) []string {
	all := []string{}
	for _, p := range rows {
		all = append(all, p.Key)
	}
	return all
}

// add adds rows and returns them with their Gens.
func add(t tb, s state.Store, rows ...state.Pending) []state.Pending {
	t.Helper()
	gens := must(s.Queue().AddPending(ctx, rows...))(t)
	equal(t, "number of Gens", len(gens), len(rows))
	for i := range rows {
		rows[i].Gen = gens[i]
	}
	return rows
}

func allPending(t tb, s state.Store) []state.Pending {
	t.Helper()
	return must(s.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0))(t)
}

func onePending(t tb, s state.Store) state.Pending {
	t.Helper()
	all := allPending(t, s)
	equal(t, "number of pending rows", len(all), 1)
	return all[0]
}

func claim(t tb, s state.Store, node string, n int, now time.Time) []state.Pending {
	t.Helper()
	return must(s.Queue().ClaimPending(ctx, node, n, time.Minute, now))(t)
}
