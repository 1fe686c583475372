package replication

import (
	"context"
	"fmt"
	"iter"

	"github.com/fado-project/fado/storage"
)

// A fakeStorage keeps no versions, and its objects have no bytes to read again.

var errFakeVersions = fmt.Errorf("%w: the fake keeps no versions", storage.ErrUnsupported)

func (f *fakeStorage) KeepsTimes(context.Context) (bool, error) { return false, nil }

func (f *fakeStorage) Versioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	_, err := f.Versioned(ctx, bucket)
	return storage.VersioningOff, err
}

func (f *fakeStorage) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return f.Versioning(ctx, bucket)
}

func (f *fakeStorage) Current(context.Context, string, string) (storage.Version, error) {
	return storage.Version{}, errFakeVersions
}

func (f *fakeStorage) Versions(context.Context, string, string) ([]storage.Version, error) {
	return nil, errFakeVersions
}

func (f *fakeStorage) Settings(context.Context, string) (storage.Settings, error) {
	return storage.Settings{}, nil
}

func (f *fakeStorage) Repeats(context.Context, string, storage.Object) (bool, error) {
	return false, nil
}

func (f *fakeStorage) VersionedKeys(context.Context, string, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", errFakeVersions) }
}

func (f *fakeStorage) Reread(context.Context, string, storage.Object, func(context.Context, int) error) (storage.Reread, error) {
	return storage.Reread{}, errFakeVersions
}

func (f *fakeStorage) DeleteVersion(context.Context, string, string, string) error {
	return errFakeVersions
}

func (f *fakeStorage) Cover(context.Context, string, storage.Version, storage.Version) error {
	return errFakeVersions
}
