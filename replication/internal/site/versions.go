package site

import (
	"context"
	"errors"
	"fmt"

	"github.com/fado-project/fado/storage"
)

// ErrUnversioned says that a storage does not keep versions of a bucket whose policy says
// writes anywhere: FaDO neither reads nor writes it there.
var ErrUnversioned = errors.New("writes anywhere needs versioning")

// AskVersioned asks the storage whether a bucket keeps versions; [ErrUnversioned] if not.
func (s *Site) AskVersioned(ctx context.Context, bucket string) error {
	return versioned(ctx, s, s.reader.Versioning, bucket)
}

// KnownVersioned is [Site.AskVersioned] by what the storage said lately.
func (s *Site) KnownVersioned(ctx context.Context, bucket string) error {
	return versioned(ctx, s, s.reader.KnownVersioning, bucket)
}

func versioned(ctx context.Context, s *Site, ask func(context.Context, string) (storage.Versioning, error), bucket string) error {
	switch v, err := ask(ctx, bucket); {
	case err != nil:
		return err
	case v != storage.VersioningOn:
		return fmt.Errorf("%w, and it is %s for bucket %s in %s", ErrUnversioned, v, s.reader.Physical(bucket), s.name)
	}
	return nil
}
