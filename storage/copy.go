package storage

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fado-project/fado/storage/s3"
)

// Copy copies one object as the caller saw it at src to dst, under the same key, and
// returns what is at dst then. Headers, user metadata and tags come along.
//
// It writes only if opts.If holds at dst; else, and when the object at src is no
// longer the one seen, it returns ErrPrecondition. It returns success only if dst
// acknowledged content that has the source's size and checksum. A failed copy leaves
// nothing at dst. [At] tells which of the two storages an error came from.
//
// Between two MinIOs version ID, ETag and modification time are preserved where the
// order of versions allows it, and dst raises no event; otherwise the source version
// is stamped into user metadata. See the package comment for what conditions are
// worth on which storage.
func Copy(ctx context.Context, src Reader, dst Writer, bucket string, o Object, opts CopyOptions) (Object, error) {
	s, err := connOf(src)
	if err != nil {
		return Object{}, err
	}
	d, err := connOf(dst)
	if err != nil {
		return Object{}, err
	}
	ctx, dog := s3.Watch(ctx, s.wire.Waits.Stall)
	defer dog.Stop()
	t := newTransfer(job{src: s, dst: d, bucket: bucket, obj: o, opts: opts, dog: dog})
	return t.run(ctx)
}

func (t *transfer) run(ctx context.Context) (Object, error) {
	if err := t.prepare(ctx); err != nil {
		return Object{}, err
	}
	out, err := t.write(ctx)
	for err != nil && t.dest.overMarker(ctx, err) {
		out, err = t.write(ctx)
	}
	if err == nil {
		var again bool
		if again, err = t.dest.onTop(ctx, out); again && err == nil {
			out, err = t.write(ctx)
		}
	}
	if errors.Is(err, ErrNotFound) && At(err) == t.src.cfg.Name {
		return Object{}, fmt.Errorf("%w: it is gone: %w", ErrPrecondition, err)
	}
	return out, err
}

func (t *transfer) write(ctx context.Context) (Object, error) {
	if inParts(t.obj) || t.dest.holdsUp() {
		return t.copyParts(ctx)
	}
	return t.copyWhole(ctx)
}

// prepare finds out how to write, and refuses what can't be written.
func (t *transfer) prepare(ctx context.Context) error {
	var err error
	if t.from, err = t.src.who.Provider(ctx, t.src.wire); err != nil {
		return err
	}
	if t.to, err = t.dst.who.Provider(ctx, t.dst.wire); err != nil {
		return err
	}
	put := t.putRequest()
	switch why := t.to.Refuse(t.obj.Key, t.obj.Size); {
	case why != "":
		return t.dst.wire.Fail(put, ErrRefused, "%s", why)
	case !utf8.ValidString(t.obj.Key) || t.obj.Key == "" || len(t.obj.Key) > maxKey:
		return t.dst.wire.Fail(put, ErrRefused, "not a key S3 knows")
	case t.obj.ETag == "":
		return t.src.wire.Fail(put, ErrRefused, "without an ETag it can't be told whether the object changes meanwhile")
	}
	t.dest.preserve = t.from.Preserve && t.to.Preserve && !t.opts.Rewrite && !t.opts.restamps()
	if t.dest.preserve || t.to.Preserve && t.opts.Version != nil {
		if t.dest.state, err = (buckets{t.dst}).KnownVersioning(ctx, t.bucket); err != nil {
			return err
		}
	}
	if t.opts.Version != nil {
		return t.dest.place(ctx)
	}
	if t.dest.preserve {
		if err := t.source.exactTime(ctx); err != nil {
			return err
		}
	}
	return t.dest.checkBefore(ctx)
}
