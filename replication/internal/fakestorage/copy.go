package fakestorage

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/fado-project/fado/storage"
)

// CopyFunc copies one object between storages.
type CopyFunc func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error)

// all storages, by what Physical says of no bucket: the reading half of a storage does not
// give its storage away.
var all sync.Map

// Is reports whether a writing half is that of a storage in memory.
func Is(w storage.Writer) bool {
	_, is := w.(writer)
	return is
}

// Copier copies between storages in memory, found by their names, as [storage.Copy] does
// between real ones.
func Copier(find func(name string) *Storage) CopyFunc {
	return func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
		have, err := find(src.Name()).shelf.read(ctx, bucket, o, opts)
		if err != nil {
			return storage.Object{}, err
		}
		return find(dst.Name()).shelf.write(ctx, bucket, have, opts)
	}
}

// Copy copies between storages in memory as [storage.Copy] does between real ones.
func Copy(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	from, ok := all.Load(src.Physical(""))
	if !ok {
		return storage.Object{}, fmt.Errorf("%s is not the reading half of a storage in memory", src.Name())
	}
	have, err := from.(*shelf).read(ctx, bucket, o, opts)
	if err != nil {
		return storage.Object{}, err
	}
	return dst.(writer).f.write(ctx, bucket, have, opts)
}

func (f *shelf) read(ctx context.Context, bucket string, o storage.Object, opts storage.CopyOptions) (object, error) {
	if err := f.before(ctx, "get", bucket, o.Key); err != nil {
		return object{}, err
	}
	f.mu.Lock()
	have, ok := f.buckets[bucket][o.Key]
	if opts.Below {
		have, ok = f.version(bucket, o.Key, opts.Version.VersionID)
	}
	f.mu.Unlock()
	if !ok || have.ETag != o.ETag {
		return object{}, fmt.Errorf("%w: the source is another", storage.ErrPrecondition)
	}
	if opts.Limit != nil {
		if err := opts.Limit(ctx, len(have.body)); err != nil {
			return object{}, err
		}
	}
	if opts.Progress != nil {
		opts.Progress(have.Size)
	}
	return have, nil
}

func (f *shelf) write(ctx context.Context, bucket string, have object, opts storage.CopyOptions) (storage.Object, error) {
	cond := opts.If
	if err := f.before(ctx, "put", bucket, have.Key); err != nil {
		return storage.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return storage.Object{}, storage.ErrNoBucket
	}
	now, there := f.buckets[bucket][have.Key]
	if opts.Below {
		return f.writeBelow(bucket, have)
	}
	if (cond.Absent && there) || (!cond.Absent && cond.IfETag != "" && (!there || now.ETag != cond.IfETag)) {
		return storage.Object{}, storage.ErrPrecondition
	}
	if past := f.history[bucket][have.Key]; f.keepsTimes && len(past) > 0 && past[0].LastModified.After(f.clock) {
		f.clock = past[0].LastModified // a copy comes on top, whatever the clock says
	}
	put := storage.Object{
		Key: have.Key, Size: have.Size, ETag: have.ETag, LastModified: f.tick(), Replica: true,
		Source:     storage.Source{ETag: have.ETag, Size: have.Size, ModTime: have.LastModified, Attributes: have.Attributes},
		Attributes: have.Attributes,
		Token:      fmt.Sprint(f.name, "/", len(f.writes)),
	}
	if past := f.history[bucket]; past != nil && have.VersionID != "" && f.comesOnTop(past[have.Key], have) {
		put.VersionID, put.LastModified, put.Source, put.Token = have.VersionID, have.LastModified, storage.Source{}, ""
	}
	f.set(bucket, object{Object: put, body: have.body})
	f.writes = append(f.writes, "put "+bucket+"/"+have.Key)
	return put, nil
}

// writeBelow writes a version where its time puts it. The caller holds mu.
func (f *shelf) writeBelow(bucket string, have object) (storage.Object, error) {
	switch {
	case !f.keepsTimes || f.history[bucket] == nil:
		return storage.Object{}, errVersions
	case slices.ContainsFunc(f.history[bucket][have.Key], func(o object) bool { return o.VersionID == have.VersionID }):
		return have.Object, nil
	}
	have.Replica, have.Token = true, ""
	f.set(bucket, have)
	f.writes = append(f.writes, "put "+bucket+"/"+have.Key+" "+have.VersionID)
	return have.Object, nil
}
