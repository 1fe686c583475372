package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// memoryNote is an UploadNote in memory.
type memoryNote struct {
	mu   sync.Mutex
	text string
}

func (n *memoryNote) Load(context.Context) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text, nil
}

func (n *memoryNote) Save(_ context.Context, text string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = text
	return nil
}

func (n *memoryNote) Clear(ctx context.Context) error { return n.Save(ctx, "") }

func (n *memoryNote) get() string {
	text, _ := n.Load(context.Background())
	return text
}

const largeSize = 160 << 20

// putLarge uploads a large object in a stream: in one piece, or in parts.
func putLarge(t *testing.T, s *side, bucket string, o minio.PutObjectOptions) Object {
	t.Helper()
	if testing.Short() {
		t.Skip("160 MiB")
	}
	const size = largeSize
	if _, err := s.api.PutObject(t.Context(), s.Physical(bucket), "large", io.LimitReader(zeroes{}, size), size, o); err != nil {
		t.Fatal(err)
	}
	return s.stat(bucket, "large")
}

// cutAt starts a copy through a proxy before the destination and ends it, as a kill or a
// cut would, once so many bytes have moved. It returns what went up to the destination.
func cutAt(t *testing.T, src, dst *side, bucket string, o Object, note UploadNote, bytes int64) int64 {
	t.Helper()
	proxy := testenv.StartProxy(t, dst.srv.Endpoint)
	to := open(t, dst.srv, proxy.Endpoint())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var moved int64
	_, err := Copy(ctx, src, to, bucket, o, CopyOptions{If: Condition{Absent: true}, Upload: note, Progress: func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if moved += n; moved >= bytes {
			cancel()
		}
	}})
	if bytes <= o.Size && !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	} else if bytes > o.Size && err != nil {
		t.Fatal(err)
	}
	return proxy.Moved(testenv.Up)
}

var largeWays = []struct {
	name, digest string
	opts         minio.PutObjectOptions
}{
	{"one piece", "MD5", minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true}},
	{"one piece, with a checksum of its own", "X-Amz-Checksum-Crc32c", minio.PutObjectOptions{
		DisableMultipart: true, DisableContentSha256: true, UserMetadata: map[string]string{s3.CRC32C: zeroesCRC()},
	}},
	{"parts", "", minio.PutObjectOptions{PartSize: 16 << 20, DisableContentSha256: true}},
}

// zeroesCRC is the checksum of what putLarge uploads.
func zeroesCRC() string {
	h := crc32.New(sums.Castagnoli)
	_, _ = io.CopyN(h, zeroes{}, largeSize)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestOverwritesHoldUpNobody: while an overwrite is on its way, over whatever link, what it replaces
// can be read where it is, and then it has the source's ETag.
func TestOverwritesHoldUpNobody(t *testing.T) {
	for _, versions := range []bool{true, false} {
		src, dst := minioA.side(t), minioB.side(t)
		bucket := newBucket(t, versions, src, dst)
		const size = 2 << 20
		src.put(bucket, "k", bytes.Repeat([]byte("a"), size), minio.PutObjectOptions{DisableMultipart: true})
		if _, err := Copy(t.Context(), src, dst, bucket, src.stat(bucket, "k"), CopyOptions{If: Condition{Absent: true}}); err != nil {
			t.Fatal(err)
		}
		was := dst.stat(bucket, "k")
		src.put(bucket, "k", bytes.Repeat([]byte("b"), size), minio.PutObjectOptions{DisableMultipart: true})
		o := src.stat(bucket, "k")
		begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		var once sync.Once
		go func() {
			_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{IfETag: was.ETag}, Progress: func(int64) {
				once.Do(func() { close(begun) })
				<-goOn
			}})
			done <- err
		}()
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := dst.api.GetObject(ctx, dst.Physical(bucket), "k", minio.GetObjectOptions{})
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		cancel()
		if err != nil {
			t.Errorf("versions %v: reading what is overwritten: %v", versions, err)
		}
		close(goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := dst.stat(bucket, "k"); got.ETag != o.ETag || Compare(o, got) != Equal {
			t.Errorf("versions %v: %+v is no copy of %+v", versions, got, o)
		}
		dst.mustHaveNoUploads(bucket)
	}
}

// TestSmallUploadsAreNoted: an upload of a few MiB that ended in the middle is on record, so that
// someone aborts it: here the next copy, which continues it.
func TestSmallUploadsAreNoted(t *testing.T) {
	r := routes[0]
	src, dst := r.from.side(t), r.to.side(t)
	bucket := newBucket(t, r.versions, src, dst)
	const size = 6 << 20
	opts := minio.PutObjectOptions{PartSize: 5 << 20, DisableContentSha256: true}
	if _, err := src.api.PutObject(t.Context(), src.Physical(bucket), "small", io.LimitReader(zeroes{}, size), size, opts); err != nil {
		t.Fatal(err)
	}
	o, note := src.stat(bucket, "small"), new(memoryNote)
	cutAt(t, src, dst, bucket, o, note, 1)
	if note.get() == "" {
		t.Fatal("the upload is not on record")
	}
	cutAt(t, src, dst, bucket, o, note, o.Size+1)
	if got := dst.stat(bucket, "small"); Compare(o, got) != Equal {
		t.Errorf("%+v is no copy of %+v", got, o)
	}
	if note.get() != "" {
		t.Error("the note stayed")
	}
	dst.mustHaveNoUploads(bucket)
}

// TestCopyGoesOn: a copy that ended in the middle goes on with the parts that are there.
func TestCopyGoesOn(t *testing.T) {
	for i, r := range []route{routes[0], routes[2], routes[3]} {
		for _, way := range largeWays[:3-i] {
			t.Run(r.name+"/"+way.name, func(t *testing.T) {
				src, dst := r.from.side(t), r.to.side(t)
				bucket := newBucket(t, r.versions, src, dst)
				o := putLarge(t, src, bucket, way.opts)
				note := new(memoryNote)
				first := cutAt(t, src, dst, bucket, o, note, o.Size*3/4)
				digest := way.digest
				if strings.HasPrefix(r.name, "versitygw") && digest != "" {
					digest = "X-Amz-Checksum-Crc64nvme" // it keeps one of every object
				}
				if note.get() == "" || !strings.Contains(note.get(), digest) {
					t.Fatalf("want a note of the way by %q, got %q", digest, note.get())
				}
				have := noted(t, dst, bucket, note)
				again := cutAt(t, src, dst, bucket, o, note, o.Size+1)
				// What was in flight is sent again, and of what is digested in order the parts
				// since the last note and those that came before their turn.
				most := o.Size - have + 1<<20
				if way.digest != "" {
					most += (noteEvery + partBuffersEach) * orderedPart
				}
				if again > most || have < o.Size/4 {
					t.Errorf("%d MiB were sent the second time, after %d MiB the first, of which %d were there", again>>20, first>>20, have>>20)
				}
				if note.get() != "" {
					t.Error("the note stayed")
				}
				got := dst.stat(bucket, "large")
				if got.Size != o.Size || Compare(o, got) != Equal {
					t.Errorf("%+v is no copy of %+v", got, o)
				}
				dst.mustHaveNoUploads(bucket)
			})
		}
	}
}

// noted is how many bytes of a noted upload are at the destination.
func noted(t *testing.T, dst *side, bucket string, note *memoryNote) (bytes int64) {
	t.Helper()
	var was uploadState
	if err := json.Unmarshal([]byte(note.get()), &was); err != nil {
		t.Fatal(err)
	}
	parts, err := dst.wire.Parts(t.Context(), dst.Physical(bucket), "large", was.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		bytes += p.Size
	}
	return bytes
}

// TestCopyGoesOnOnlyWithTheSame: parts of another version are aborted, not mixed in.
func TestCopyGoesOnOnlyWithTheSame(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, dst)
	note := new(memoryNote)
	body := random(40 << 20)
	old := src.put(bucket, "large", body, minio.PutObjectOptions{PartSize: s3.MinPart})
	cutAt(t, src, dst, bucket, old, note, old.Size/2)
	was := note.get()
	body[len(body)-1]++
	o := src.put(bucket, "large", body, minio.PutObjectOptions{PartSize: s3.MinPart})
	if sent := cutAt(t, src, dst, bucket, o, note, o.Size+1); sent < o.Size {
		t.Errorf("%d of %d bytes were sent: parts of the old version are in the new one", sent, o.Size)
	}
	if was == "" || note.get() != "" {
		t.Errorf("notes %q, %q", was, note.get())
	}
	checkCopy(t, routes[0], src, dst, bucket, "large", dst.stat(bucket, "large"))
	dst.mustHaveNoUploads(bucket)
}

// TestAbortUpload removes what a copy that nobody goes on with has left.
func TestAbortUpload(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, dst)
	note := new(memoryNote)
	o := src.put(bucket, "large", random(40<<20), minio.PutObjectOptions{PartSize: s3.MinPart})
	cutAt(t, src, dst, bucket, o, note, o.Size/2)
	for range 2 { // the second time there is nothing
		if err := AbortUpload(t.Context(), dst, bucket, "large", note.get()); err != nil {
			t.Fatal(err)
		}
	}
	// The abort was not told to the note: the upload is found to be gone.
	cutAt(t, src, dst, bucket, o, note, o.Size+1)
	checkCopy(t, routes[0], src, dst, bucket, "large", dst.stat(bucket, "large"))
}

// TestCopyLargeCorrupted: one bit on the way from the source is noticed although no
// request carries the whole.
func TestCopyLargeCorrupted(t *testing.T) {
	for _, way := range largeWays {
		src, dst := minioA.side(t), minioB.side(t)
		bucket := newBucket(t, false, src, dst)
		o := putLarge(t, src, bucket, way.opts)
		note := new(memoryNote)
		_, err := Copy(t.Context(), corrupting(t, src, testenv.Down), dst, bucket, o, CopyOptions{Upload: note})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: want ErrCorrupt, got %v", way.name, err)
		}
		if note.get() != "" {
			t.Errorf("%s: rubbish is noted to be continued", way.name)
		}
		dst.mustNotHave(bucket, "large")
	}
}
