package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// Uploads under way are noted outside, so that a transfer that was cut, or whose process
// was killed, resumes with the parts that are there.

const (
	// noteEvery is after how many parts in order their digest is noted.
	noteEvery = 4
	// renoteEvery is after how many parts that need no order the note is made again, so
	// that its age tells whether the upload is being continued.
	renoteEvery = 64
)

// uploadState is what an UploadNote's text says.
type uploadState struct {
	ID   string `json:"id"`
	Size int64  `json:"size"`
	ETag string `json:"etag"`
	// Begun is a digest of what the upload was begun with: the destination, version,
	// headers, metadata and tags.
	Begun    string `json:"begun"`
	Parts    int    `json:"parts"`
	PartSize int64  `json:"part_size"`
	// Digest of the first Done parts, where the content is digested in order.
	Digest string `json:"digest,omitempty"`
	Done   int    `json:"done,omitempty"`
	State  []byte `json:"state,omitempty"`
}

// state describes the upload as it is now.
func (u *upload) state() uploadState {
	s := uploadState{ID: u.id, Size: u.t.obj.Size, ETag: u.t.obj.ETag, Begun: u.begun, Parts: u.layout.count, PartSize: u.layout.size}
	if d := u.layout.digest; d != nil {
		s.Digest = d.Name + " " + d.Want
	}
	return s
}

// continues reports whether a noted upload is of this very source object, in these parts, and
// was begun as this one would be.
func (s uploadState) continues(o uploadState) bool {
	return s.Size == o.Size && s.ETag == o.ETag && s.Begun == o.Begun && s.Parts == o.Parts &&
		s.PartSize == o.PartSize && s.Digest == o.Digest
}

// begunWith digests the request an upload is begun with. Times are left out: HEAD and
// listings tell the same one differently.
func begunWith(q *s3.Request) string {
	sum := sha256.New()
	sum.Write([]byte(q.Bucket + "/" + q.Key + "\x00" + q.Query.Get("versionId") + "\x00"))
	names := make([]string, 0, len(q.Header))
	for k := range q.Header {
		if k != stampModTime && k != stampShort && k != stampToken && k != minioSourceMTime {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range names {
		sum.Write([]byte(k + "\x00" + q.Header.Get(k) + "\x00"))
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// note saves the upload's state, if the caller keeps it.
func (u *upload) note(ctx context.Context, done int, digest []byte) error {
	if !u.t.opts.noted() {
		return nil
	}
	s := u.state()
	s.Done, s.State = done, digest
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("noting an upload: %w", err)
	}
	if err := u.t.opts.Upload.Save(ctx, string(text)); err != nil {
		return fmt.Errorf("noting an upload: %w", err)
	}
	return nil
}

// resume continues the upload that was noted, if it is this one; what is noted
// otherwise is aborted. It reports whether it did.
func (u *upload) resume(ctx context.Context) (bool, error) {
	if !u.t.opts.noted() {
		return false, nil
	}
	text, err := u.t.opts.Upload.Load(ctx)
	if err != nil || text == "" {
		return false, err
	}
	var was uploadState
	if err := json.Unmarshal([]byte(text), &was); err != nil || was.ID == "" {
		return false, u.t.opts.Upload.Clear(ctx)
	}
	u.id = was.ID
	if was.continues(u.state()) {
		err = u.adopt(ctx, was)
		if err == nil {
			u.t.token = ""
			return true, nil
		}
		if !errors.Is(err, errNotThis) && !s3.NoUpload(err) {
			return false, err
		}
	}
	u.abort(ctx)
	u.id = ""
	u.forgetParts()
	return false, nil
}

// notedOwnParts reports whether an upload of this object is noted whose parts are not the
// source's.
func (o CopyOptions) notedOwnParts(ctx context.Context, obj Object) bool {
	if !o.noted() {
		return false
	}
	var was uploadState
	text, err := o.Upload.Load(ctx)
	return err == nil && json.Unmarshal([]byte(text), &was) == nil && was.ETag == obj.ETag && was.PartSize > 0
}

// errNotThis says that a noted upload can't be continued.
var errNotThis = errors.New("the upload can't be continued")

// adopt reuses the parts that are at the destination.
func (u *upload) adopt(ctx context.Context, was uploadState) error {
	parts, err := u.t.dst.wire.Parts(ctx, u.t.dst.Physical(u.t.bucket), u.t.obj.Key, u.id, u.t.dog)
	if err != nil {
		return err
	}
	if u.layout.digest != nil {
		if was.Done > u.layout.count {
			return errNotThis
		}
		if u.hash, err = u.layout.digest.Resume(was.State); err != nil {
			return errNotThis
		}
		u.hashed = was.Done
	}
	for _, p := range parts {
		if usable(u, p) {
			u.parts[p.Number-1] = completedOf(p.Part)
			u.bytes += p.Size
		}
	}
	for i := range u.hashed {
		if u.parts[i].ETag == "" {
			return errNotThis // a part whose digest is in the sum already is not there
		}
	}
	if progress := u.t.opts.Progress; progress != nil && u.bytes > 0 {
		progress(u.bytes)
	}
	return nil
}

// usable reports whether a part at the destination is one of this upload's, as a whole, and
// was checked there as it would be now.
func usable(u *upload, p s3.ListedPart) bool {
	n := p.Number
	switch {
	case n < 1 || n > u.layout.count || p.ETag == "":
		return false
	case u.layout.size > 0 && p.Size != u.layout.bytesOf(n, u.t.obj.Size):
		return false
	case u.layout.digest != nil && n > u.hashed:
		return false // its content has to be read again for the digest
	case u.layout.verified:
		return sums.IsMD5(p.ETag)
	case u.t.to.Trailers:
		return p.CRC32C != ""
	default:
		return u.layout.digest != nil // else nothing vouches for it
	}
}

func (u *upload) forgetParts() {
	clear(u.parts)
	u.bytes, u.hash, u.hashed = 0, nil, 0
}

// giveUp decides about an upload that failed: one that may be continued stays, as
// noted; any other is removed.
func (u *upload) giveUp(ctx context.Context, err error) {
	keep := u.t.opts.noted() && u.id != "" && (errors.Is(err, ErrUnavailable) || ctx.Err() != nil) && !s3.NoUpload(err) &&
		!errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrPrecondition)
	if keep {
		return
	}
	u.abort(ctx)
}

// AbortUpload removes the parts of an upload that was noted and will not be continued.
// What is gone already is no error.
func AbortUpload(ctx context.Context, dst Writer, bucket, key, text string) error {
	d, err := connOf(dst)
	if err != nil {
		return err
	}
	id := UploadID(text)
	if id == "" {
		return nil // nothing that could be asked for
	}
	return d.wire.AbortUpload(ctx, d.Physical(bucket), key, id)
}

// UploadID returns the ID that a noted upload has at its storage; "" where the note names none.
func UploadID(text string) string {
	var was uploadState
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return ""
	}
	return was.ID
}
