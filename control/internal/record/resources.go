package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// RefTo names a resource.
func RefTo(r catalog.Resource) state.Ref {
	return state.Ref{Kind: r.ResourceKind(), Name: r.ResourceName()}
}

// Bucket names a bucket, and with it its copies.
func Bucket(name string) state.Ref { return state.Ref{Kind: catalog.KindBucket, Name: name} }

// Decode returns the resource of a record, normalized; state.ErrCorrupt if there is none
// in it.
func Decode(r state.Record) (catalog.Resource, error) {
	res := catalog.NewResource(r.Kind)
	if res == nil {
		return nil, fmt.Errorf("the store has a resource of unknown kind %q: %w", r.Kind, state.ErrCorrupt)
	}
	if err := json.Unmarshal(r.Body, res); err != nil {
		return nil, fmt.Errorf("reading %s %s from the store: %w: %w", r.Kind, r.Name, state.ErrCorrupt, err)
	}
	res.Normalize()
	return res, nil
}

// Encode returns the record of a normalized resource; the store sets its Rev.
func Encode(r catalog.Resource) (state.Record, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return state.Record{}, fmt.Errorf("encoding %s %s: %w", r.ResourceKind(), r.ResourceName(), err)
	}
	return state.Record{Kind: r.ResourceKind(), Name: r.ResourceName(), Body: body, Refs: RefsOf(r)}, nil
}

// Read reads a resource within a transaction; nil without an error if there is none.
func Read(tx state.Tx, k catalog.Kind, name string) (catalog.Resource, state.Record, error) {
	rec, err := tx.Get(k, name)
	if errors.Is(err, state.ErrNotFound) {
		return nil, state.Record{}, nil
	}
	if err != nil {
		return nil, state.Record{}, err
	}
	res, err := Decode(rec)
	return res, rec, err
}

// RefsOf lists what a resource refers to, without repeats.
func RefsOf(r catalog.Resource) []state.Ref {
	var refs []state.Ref
	catalog.References(r, func(k catalog.Kind, name string) {
		if ref := (state.Ref{Kind: k, Name: name}); !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	})
	return refs
}

// Put puts a resource into a snapshot.
func Put(e *routing.Editor, r catalog.Resource) {
	switch r := r.(type) {
	case *catalog.Zone:
		e.PutZone(r)
	case *catalog.Cluster:
		e.PutCluster(r)
	case *catalog.Policy:
		e.PutPolicy(r)
	case *catalog.Bucket:
		e.PutBucket(r)
	case *catalog.Key:
		e.PutKey(r)
	}
}

// PutDeclared puts a resource that a configuration declares into a snapshot. A key is for
// the S3 endpoint that declares it, which has it by itself: one of that name that the API made
// must not work beside it, nor this one elsewhere.
func PutDeclared(e *routing.Editor, r catalog.Resource) {
	if r.ResourceKind() == catalog.KindKey {
		e.Delete(catalog.KindKey, r.ResourceName())
		return
	}
	Put(e, r)
}

// Known says whether a snapshot has a resource.
func Known(snap *routing.Snapshot, r state.Ref) bool {
	switch r.Kind {
	case catalog.KindZone:
		return snap.Zone(r.Name) != nil
	case catalog.KindCluster:
		return snap.Cluster(r.Name) != nil
	case catalog.KindPolicy:
		return snap.Policy(r.Name) != nil
	case catalog.KindKey:
		return snap.Key(r.Name) != nil
	default:
		return snap.Bucket(r.Name) != nil
	}
}
