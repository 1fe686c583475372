package fakestorage

import (
	"context"
	"fmt"
	"iter"

	"github.com/fado-project/fado/storage"
)

// A Storage keeps no versions, and its objects have no bytes to read again.

var errVersions = fmt.Errorf("%w: the fake keeps no versions", storage.ErrUnsupported)

func (f *Storage) KeepsTimes(context.Context) (bool, error) { return false, nil }

func (f *Storage) Versioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	_, err := f.Versioned(ctx, bucket)
	return storage.VersioningOff, err
}

func (f *Storage) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return f.Versioning(ctx, bucket)
}

func (f *Storage) Current(context.Context, string, string) (storage.Version, error) {
	return storage.Version{}, errVersions
}

func (f *Storage) Versions(context.Context, string, string) ([]storage.Version, error) {
	return nil, errVersions
}

func (f *Storage) VersionedKeys(context.Context, string, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", errVersions) }
}

func (f *Storage) OnlyCopies(context.Context, string, string) (bool, error) { return false, nil }

func (f *Storage) Reread(context.Context, string, storage.Object, func(context.Context, int) error) (storage.Reread, error) {
	return storage.Reread{}, errVersions
}

func (f *Storage) DeleteVersion(context.Context, string, string, string) error {
	return errVersions
}

func (f *Storage) Cover(context.Context, string, storage.Version, storage.Version) error {
	return errVersions
}
