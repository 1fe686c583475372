package buckets

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Whether the buckets that a walk finds are those that the rows speak of; see package identity.

// identityOf says which bucket lies at a storage now.
func identityOf(ctx context.Context, s *site.Site, bucket string, born bornBy) (identity.Identity, error) {
	at, err := born(ctx, bucket)
	s.Observed(err)
	if err != nil {
		return identity.Identity{}, fmt.Errorf("asking %s when its buckets were made: %w", s.Name(), err)
	}
	return identity.Identity{At: s.Address(), Born: at}, nil
}

// IdentityNow is IdentityOf by an answer of this moment.
func IdentityNow(ctx context.Context, s *site.Site, bucket string) (identity.Identity, error) {
	return identityOf(ctx, s, bucket, s.Births.Now)
}

// IdentityOf says which bucket lies at a storage, before something is removed there.
func IdentityOf(ctx context.Context, s *site.Site, bucket string) (identity.Identity, error) {
	return identityOf(ctx, s, bucket, s.Births.Lately)
}

// bornBy asks a site when a bucket was made.
type bornBy = func(context.Context, string) (time.Time, error)

// verdictOn compares rows of a cluster with what is there now, by a question to the storage;
// that it is another bucket is only said after the storage was asked at this moment.
func verdictOn(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, ask bornBy) (now identity.Identity, v identity.Verdict, err error) {
	for _, born := range []bornBy{ask, s.Births.Now} {
		if now, err = identityOf(ctx, s, bucket, born); err != nil {
			return now, v, err
		}
		v = identity.Same
		for _, row := range rows {
			if row.Cluster == s.Name() {
				v = max(v, identity.Of(row).Compare(now))
			}
		}
		if v != identity.Other {
			break
		}
	}
	return now, v, nil
}
