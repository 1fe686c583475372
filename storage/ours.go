package storage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// What is FaDO's is told by what only FaDO's own write of that very version has, never by
// a header or an ETag alone. Storages hand user metadata and MinIO's replica status on to
// server-side copies, and MinIO's own replication sets the same status, so:
//
//   - A copy that keeps its original's ETag and time, and its version ID where the bucket keeps
//     versions, has a mark that is computed from these, the bucket and the key. A server-side
//     copy gets a time and a version ID of its own, and the mark holds no more.
//   - A copy that can't keep them has a stamp, which is bound to bucket and key, and in it
//     a token that was drawn for that one write. Where the bucket keeps versions, a second
//     version with the same token was made by another writer (Repeats).
//
// What neither tells is a user's who brings a stamped copy away and back under the same
// key by server-side copies, in a bucket without versions at a storage that keeps no times.

const (
	stampMark  = stampPrefix + "Mark"
	stampToken = stampPrefix + "Token"
	tokenSize  = 6
)

// markOf is the mark of a copy that keeps what its original has. HEAD tells whole seconds.
func markOf(bucket, key, version, etag string, modified time.Time) string {
	if isNull(version) {
		version = ""
	}
	sum := sha256.Sum256([]byte(strings.Join(
		[]string{"mark", bucket, key, version, etag, strconv.FormatInt(modified.Unix(), 10)}, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// setMark marks a write that keeps what the original has. Where the object's own metadata
// leave no room the copy goes without: it is FaDO's once it was compared.
func (t *destination) setMark(q *s3.Request) {
	if !t.preserve {
		return
	}
	mark := markOf(t.bucket, t.obj.Key, q.Query.Get("versionId"), t.obj.ETag, t.obj.LastModified)
	if metadataSize(q.Header)+len(stampMark)+len(mark) <= maxMetadata {
		q.Header.Set(stampMark, mark)
	}
}

// marked reports whether an object has the mark of what it is. A version ID that the storage
// was to choose is not in the mark.
func marked(h http.Header, bucket string, o Object) bool {
	mark := h.Get(stampMark)
	return mark != "" && (mark == markOf(bucket, o.Key, o.VersionID, o.ETag, o.LastModified) ||
		mark == markOf(bucket, o.Key, "", o.ETag, o.LastModified))
}

// newToken draws the token of one write.
func newToken() string {
	var b [tokenSize]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Repeats implements [Reader].
func (c versions) Repeats(ctx context.Context, bucket string, o Object) (bool, error) {
	if o.Token == "" {
		return false, nil
	}
	state, err := buckets(c).KnownVersioning(ctx, bucket)
	if err != nil || state == VersioningOff {
		return false, err
	}
	vs, err := versionsOf(ctx, c.conn, bucket, o.Key, 0)
	if err != nil {
		return false, err
	}
	below := false
	for _, v := range vs {
		switch {
		case !below:
			below = sameVersion(v.ID, o.VersionID) && v.ETag == o.ETag
			continue
		case v.DeleteMarker, v.Size != o.Size, v.ETag != o.ETag && sums.PartsOf(v.ETag) == 0:
			continue // no server-side copy of it could be o
		}
		was, err := lookAt(ctx, c.conn, bucket, v)
		if errors.Is(err, ErrPrecondition) {
			continue // it has gone
		}
		if err != nil || was.Token == o.Token {
			return err == nil, err
		}
	}
	return false, nil
}
