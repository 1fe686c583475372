package record_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

func ref(k catalog.Kind, name string) state.Ref { return state.Ref{Kind: k, Name: name} }

var (
	aZone    = &catalog.Zone{Name: "z", Parent: "world"}
	aCluster = &catalog.Cluster{Name: "c", Zones: []string{"z", "z2", "z"}}
	aPolicy  = &catalog.Policy{Name: "p", Zones: []string{"z"}, ExcludeZones: []string{"z2"}, Clusters: []string{"c"}, Prefer: []string{"c", "c2"}}
	aBucket  = &catalog.Bucket{Name: "b", Policy: "p", Primary: "c", Prefixes: []catalog.PrefixRule{{Prefix: "x/", Policy: "p2"}, {Prefix: "y/", Policy: "p"}}}
)

func TestRefsOf(t *testing.T) {
	for _, c := range []struct {
		of   catalog.Resource
		want []state.Ref
	}{
		{&catalog.Zone{Name: "top"}, nil},
		{aZone, []state.Ref{ref(catalog.KindZone, "world")}},
		{aCluster, []state.Ref{ref(catalog.KindZone, "z"), ref(catalog.KindZone, "z2")}},
		{aPolicy, []state.Ref{ref(catalog.KindZone, "z"), ref(catalog.KindZone, "z2"), ref(catalog.KindCluster, "c"), ref(catalog.KindCluster, "c2")}},
		{aBucket, []state.Ref{ref(catalog.KindPolicy, "p"), ref(catalog.KindCluster, "c"), ref(catalog.KindPolicy, "p2")}},
	} {
		if got := record.RefsOf(c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s refers to %v, want %v", record.RefTo(c.of), got, c.want)
		}
	}
}

// What is encoded is decoded as it was, put into a snapshot, and known there.
func TestThereAndBack(t *testing.T) {
	for _, r := range []catalog.Resource{aZone.Clone(), aCluster.Clone(), aPolicy.Clone(), aBucket.Clone()} {
		r.Normalize()
		rec, err := record.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := record.Decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		again, err := record.Encode(back)
		if err != nil || string(again.Body) != string(rec.Body) || !slices.Equal(again.Refs, rec.Refs) {
			t.Errorf("%s came back as %s, %v", rec.Body, again.Body, err)
		}
		empty := routing.NewRouter().Snapshot()
		snap := empty.Edit(func(e *routing.Editor) { record.Put(e, back) })
		if record.Known(empty, record.RefTo(r)) || !record.Known(snap, record.RefTo(r)) {
			t.Errorf("%s: known before %v, after %v", record.RefTo(r), record.Known(empty, record.RefTo(r)), record.Known(snap, record.RefTo(r)))
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	for _, rec := range []state.Record{
		{Kind: "galaxy", Name: "m31", Body: []byte(`{}`)},
		{Kind: catalog.KindZone, Name: "z", Body: []byte(`{"name":`)},
	} {
		if _, err := record.Decode(rec); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%s %s: %v", rec.Kind, rec.Name, err)
		}
	}
}

// fakeTx keeps copies and notes what is done to them.
type fakeTx struct {
	state.Tx
	recs map[state.Ref]state.Record
	done []string
	err  error
}

func (tx *fakeTx) Get(k catalog.Kind, name string) (state.Record, error) {
	if rec, ok := tx.recs[ref(k, name)]; ok {
		return rec, tx.err
	}
	return state.Record{}, errors.Join(state.ErrNotFound, tx.err)
}

func (tx *fakeTx) PutCopy(c state.Copy) error {
	tx.done = append(tx.done, fmt.Sprintf("put %s %s%s", c.Bucket, c.Prefix, c.Cluster))
	return tx.err
}

func (tx *fakeTx) DeleteCopy(bucket, prefix, cluster string) error {
	tx.done = append(tx.done, fmt.Sprintf("delete %s %s%s", bucket, prefix, cluster))
	return tx.err
}

func TestReadInATransaction(t *testing.T) {
	rec, _ := record.Encode(aZone)
	tx := &fakeTx{recs: map[state.Ref]state.Record{ref(catalog.KindZone, "z"): rec}}
	if res, got, err := record.Read(tx, catalog.KindZone, "z"); err != nil || res.ResourceName() != "z" || got.Kind != catalog.KindZone {
		t.Errorf("a zone that is there: %v, %v", res, err)
	}
	if res, _, err := record.Read(tx, catalog.KindZone, "other"); err != nil || res != nil {
		t.Errorf("a zone that is not there: %v, %v", res, err)
	}
	tx.recs[ref(catalog.KindZone, "z")] = state.Record{Kind: catalog.KindZone, Body: []byte("no")}
	if _, _, err := record.Read(tx, catalog.KindZone, "z"); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("a zone that can't be read: %v", err)
	}
	tx.err = state.ErrUnavailable
	if _, _, err := record.Read(tx, catalog.KindZone, "z"); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a store that is gone: %v", err)
	}
}

func row(prefix, cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: prefix, Cluster: cluster, State: s}}
}

// Only the difference is written: rows that are as they were are left alone.
func TestWriteCopies(t *testing.T) {
	before := []state.Copy{row("", "same", catalog.CopySynced), row("", "changed", catalog.CopySyncing), row("x/", "gone", catalog.CopyRemoving)}
	next := []state.Copy{row("", "same", catalog.CopySynced), row("", "changed", catalog.CopySynced), row("x/", "same", catalog.CopyWaiting)}
	next[2].Bucket = "" // set by WriteCopies
	tx := new(fakeTx)
	if err := record.WriteCopies(tx, "b", before, next); err != nil {
		t.Fatal(err)
	}
	if want := []string{"put b changed", "put b x/same", "delete b x/gone"}; !slices.Equal(tx.done, want) {
		t.Errorf("did %v, want %v", tx.done, want)
	}
	for _, n := range [][]state.Copy{next, nil} {
		if err := record.WriteCopies(&fakeTx{err: state.ErrUnavailable}, "b", before, n); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("a store that is gone: %v", err)
		}
	}
	if i := record.FindCopy(before, catalog.Copy{Prefix: "x/", Cluster: "gone"}); i != 2 {
		t.Errorf("found at %d", i)
	}
	if i := record.FindCopy(before, catalog.Copy{Cluster: "gone"}); i != -1 {
		t.Errorf("the row of another rule was found at %d", i)
	}
}

type copyStream []state.Copy

func (s copyStream) EachCopy(_ context.Context, f func(state.Copy) error) error {
	for _, c := range s {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

func TestEachBucket(t *testing.T) {
	var got []string
	all := copyStream{{Bucket: "a"}, {Bucket: "b"}, {Bucket: "b"}, {Bucket: "c"}}
	err := record.EachBucket(t.Context(), all, func(b string, rows []state.Copy) error {
		got = append(got, fmt.Sprint(b, len(rows)))
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a1", "b2", "c1"}) {
		t.Errorf("streamed %v, %v", got, err)
	}
	stop := errors.New("stop")
	for _, at := range []string{"a", "c"} {
		err := record.EachBucket(t.Context(), all, func(b string, _ []state.Copy) error {
			if b == at {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Errorf("an error at %s: %v", at, err)
		}
	}
	if err := record.EachBucket(t.Context(), copyStream{}, func(string, []state.Copy) error { return stop }); err != nil {
		t.Errorf("of no copies: %v", err)
	}
}
