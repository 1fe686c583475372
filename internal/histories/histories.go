// Package histories has clients use the keys of a bucket at an S3 endpoint, notes what they did
// and when, and tells whether there is one order of all requests that explains what they saw:
// whether each key is linearizable. It is for tests of endpoints under faults.
package histories

import (
	"cmp"
	"context"
	"crypto/md5" // what S3's ETags are
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/minio/minio-go/v7"
)

// access is one request to a key, as the checker sees it: a write, or a read.
type access struct {
	key   string
	write bool
	value string // written; "" removes
	// only: it writes where the value is another one alone, was, "" for nothing there; else it is
	// refused.
	only bool
	was  string
}

// outcome of a write under a condition.
const (
	done    = "done"
	refused = "refused"
)

// register is the model of a key: a read returns what the last write wrote, and a write under a
// condition is made where it holds, and refused where it does not.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := make(map[string][]porcupine.Operation)
		for _, op := range history {
			k := op.Input.(access).key
			by[k] = append(by[k], op)
		}
		var parts [][]porcupine.Operation
		for _, p := range by {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		in, holds := input.(access), true
		if in.only {
			holds = state.(string) == in.was
		}
		switch {
		case !in.write:
			return output.(string) == state.(string), state
		case output.(string) == refused:
			return !holds, state
		case output.(string) == done || holds:
			return holds, in.value
		default: // what became of it is not known: here it would have been nothing
			return true, state
		}
	},
	DescribeOperation: func(input, output any) string {
		in := input.(access)
		switch {
		case in.only:
			return fmt.Sprintf("%s = %q if it is %q: %s", in.key, in.value, in.was, output)
		case in.write:
			return fmt.Sprintf("%s = %q: %s", in.key, in.value, output)
		}
		return fmt.Sprintf("%s is %q", in.key, output)
	},
}

// Journal is what clients did. Its methods are safe for concurrent use.
type Journal struct {
	began time.Time

	mu     sync.Mutex
	ops    []porcupine.Operation
	values map[string]string // that may have been written, by the ETags that they have
	sure   map[string]int    // requests of each kind whose outcome is known
	asked  int
}

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return &Journal{began: time.Now(), values: make(map[string]string), sure: make(map[string]int)}
}

func (j *Journal) now() int64 { return time.Since(j.began).Nanoseconds() }

// wrote notes a write. One that failed may have happened, then or later, unless nobody was there
// to be asked.
func (j *Journal) wrote(kind string, client int, in access, call int64, err error) {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	end, out := j.now(), done
	switch j.asked++; {
	case in.only && unmet(err):
		out = refused
		j.sure[kind]++
	case err != nil:
		end, out = math.MaxInt64, ""
	default:
		j.sure[kind]++
	}
	j.ops = append(j.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// unmet reports whether a condition was found not to hold: MinIO has a code of its own for ETags of
// what is not there.
func unmet(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == minio.PreconditionFailed || code == minio.NoSuchKey
}

// saw notes what a request told of some keys at once.
func (j *Journal) saw(kind string, client int, call int64, values map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	end := j.now()
	j.asked++
	j.sure[kind]++
	for key, v := range values {
		j.ops = append(j.ops, porcupine.Operation{ClientId: client, Input: access{key: key}, Call: call, Output: v, Return: end})
	}
}

// failed notes a request that says nothing, unless nobody was there to be asked.
func (j *Journal) failed(err error) {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked++
}

// declare makes a value known by the ETag that it has when it is put, or uploaded as one part.
func (j *Journal) declare(value string) {
	sum := md5.Sum([]byte(value))
	of := md5.Sum(sum[:])
	j.mu.Lock()
	defer j.mu.Unlock()
	j.values[hex.EncodeToString(sum[:])] = value
	j.values[hex.EncodeToString(of[:])+"-1"] = value
}

// valueOf returns the value of an ETag; one that nobody wrote is its own.
func (j *Journal) valueOf(etag string) string {
	etag = strings.Trim(etag, `"`)
	j.mu.Lock()
	defer j.mu.Unlock()
	if v, ok := j.values[etag]; ok {
		return v
	}
	return "content of ETag " + etag
}

// kinds are the kinds of requests.
var kinds = []string{put, remove, get, list, upload, create, replace, duplicate}

// Known returns how many outcomes of requests are known, and a kind of which none is, if there is one.
func (j *Journal) Known() (n int, missing string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, kind := range kinds {
		if n += j.sure[kind]; j.sure[kind] == 0 {
			missing = kind
		}
	}
	return n, missing
}

// Check fails the test where no order explains what clients saw, or where a kind of request
// hardly ever succeeded, so that nothing is shown.
func (j *Journal) Check(t testing.TB) {
	t.Helper()
	known, missing := j.Known()
	if missing != "" {
		t.Errorf("no request succeeded that is a %s", missing)
	}
	t.Logf("%d requests, the outcome of %d is known: %v", j.asked, known, j.sure)
	if known < j.asked/4 {
		t.Error("too few requests succeeded to show anything")
	}
	switch result, info := j.judge(); result {
	case porcupine.Illegal:
		file := t.ArtifactDir() + "/history.html"
		if err := porcupine.VisualizePath(register, info, file); err != nil {
			t.Error(err)
		}
		t.Errorf("no order explains what clients saw; see %s\n%s", file, j.unexplained())
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("the history is too long to be judged within %s, so it shows nothing", judging)
	}
}

// tellLast is how many requests before the one that nothing explains are told.
const tellLast = 30

// unexplained tells the requests of a key up to the first that no order explains, the last of them
// and those whose outcome is not known.
func (j *Journal) unexplained() string {
	var out strings.Builder
	for _, ops := range register.Partition(j.ops) {
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		illegal := func(n int) bool {
			return porcupine.CheckOperationsTimeout(register, ops[:n], time.Second) == porcupine.Illegal
		}
		if !illegal(len(ops)) {
			continue
		}
		first := sort.Search(len(ops), func(n int) bool { return illegal(n) })
		for i, op := range ops[:first] {
			if until := float64(op.Return) / 1e6; i >= first-tellLast || op.Return == math.MaxInt64 {
				fmt.Fprintf(&out, "%10.1f–%.1f ms, client %d: %s\n", float64(op.Call)/1e6, until, op.ClientId, register.DescribeOperation(op.Input, op.Output))
			}
		}
	}
	return out.String()
}

// judging bounds the judgement: it may take a time that grows with the requests whose outcome is
// not known as no computer can wait for.
const judging = 2 * time.Minute

func (j *Journal) judge() (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(register, j.ops, judging)
}

// The kinds of requests.
const (
	put    = "put"
	remove = "removal"
	get    = "read"
	list   = "list"
	upload = "upload"
	// A write where nothing is, one in place of what was seen last, and one by a copy.
	create    = "creation"
	replace   = "replacement"
	duplicate = "copy"
)

// patience bounds one request.
const patience = 2 * time.Second

// keys is how many keys clients share at a time, and keysFor for how many turns of a client.
const (
	keys    = 4
	keysFor = 200
)

// Client uses keys of a bucket, one request after the other.
type Client struct {
	ID      int
	At      *minio.Core
	Bucket  string
	Journal *Journal
	Rand    *rand.Rand

	seen map[string]sight // by key
}

// sight is what a client read of a key.
type sight struct{ value, etag string }

// Turn makes the client's request number i. Clients with the same number use the same keys.
func (c *Client) Turn(ctx context.Context, i int) {
	folder := fmt.Sprint(i/keysFor, "/")
	key := folder + fmt.Sprint(c.Rand.IntN(keys))
	value := fmt.Sprintf("%d by %d", i, c.ID)
	switch c.Rand.IntN(16) {
	case 0, 1:
		c.remove(ctx, key)
	case 2, 3:
		c.put(ctx, put, access{key: key, write: true, value: value}, minio.PutObjectOptions{})
	case 4:
		c.upload(ctx, key, value)
	case 5, 6:
		var unless minio.PutObjectOptions
		unless.SetMatchETagExcept("*")
		c.put(ctx, create, access{key: key, write: true, value: value, only: true}, unless)
	case 7, 8:
		c.replace(ctx, key, value)
	case 9:
		c.copy(ctx, key, fmt.Sprintf("copied/%d by %d", i, c.ID), value)
	case 10, 11:
		c.list(ctx, folder)
	default:
		c.get(ctx, key)
	}
}

// replace writes a key if it still is what this client read last.
func (c *Client) replace(ctx context.Context, key, value string) {
	was, known := c.seen[key]
	if !known || was.value == "" {
		c.get(ctx, key)
		return
	}
	var only minio.PutObjectOptions
	only.SetMatchETag(was.etag)
	c.put(ctx, replace, access{key: key, write: true, value: value, only: true, was: was.value}, only)
}

// copy writes a key by a copy of another one, that nobody else uses.
func (c *Client) copy(ctx context.Context, key, from, value string) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if _, err := c.At.PutObject(ctx, c.Bucket, from, strings.NewReader(value), int64(len(value)), "", "", minio.PutObjectOptions{}); err != nil {
		c.Journal.failed(err)
		return
	}
	c.Journal.declare(value)
	call := c.Journal.now()
	_, err := c.At.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: c.Bucket, Object: key}, minio.CopySrcOptions{Bucket: c.Bucket, Object: from})
	c.Journal.wrote(duplicate, c.ID, access{key: key, write: true, value: value}, call, err)
}

// remove removes a key, by a request for it alone or by one for several.
func (c *Client) remove(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := c.Journal.now()
	var err error
	if c.Rand.IntN(2) == 0 {
		err = c.At.RemoveObject(ctx, c.Bucket, key, minio.RemoveObjectOptions{})
	} else {
		one := make(chan minio.ObjectInfo, 1)
		one <- minio.ObjectInfo{Key: key}
		close(one)
		for e := range c.At.Client.RemoveObjects(ctx, c.Bucket, one, minio.RemoveObjectsOptions{}) {
			err = errors.Join(err, e.Err)
		}
	}
	c.Journal.wrote(remove, c.ID, access{key: key, write: true}, call, err)
}

func (c *Client) put(ctx context.Context, kind string, in access, opts minio.PutObjectOptions) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c.Journal.declare(in.value)
	call := c.Journal.now()
	_, err := c.At.PutObject(ctx, c.Bucket, in.key, strings.NewReader(in.value), int64(len(in.value)), "", "", opts)
	c.Journal.wrote(kind, c.ID, in, call, err)
}

// upload writes in parts: one, so that the whole is small. Nothing can have happened before it
// asks for the upload to be completed.
func (c *Client) upload(ctx context.Context, key, value string) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	id, err := c.At.NewMultipartUpload(ctx, c.Bucket, key, minio.PutObjectOptions{})
	if err != nil {
		c.Journal.failed(err)
		return
	}
	p, err := c.At.PutObjectPart(ctx, c.Bucket, key, id, 1, strings.NewReader(value), int64(len(value)), minio.PutObjectPartOptions{})
	if err != nil {
		c.Journal.failed(err)
		return
	}
	c.Journal.declare(value)
	call := c.Journal.now()
	_, err = c.At.CompleteMultipartUpload(ctx, c.Bucket, key, id, []minio.CompletePart{{PartNumber: 1, ETag: p.ETag}}, minio.PutObjectOptions{})
	c.Journal.wrote(upload, c.ID, access{key: key, write: true, value: value}, call, err)
}

func (c *Client) get(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := c.Journal.now()
	s, err := c.read(ctx, key)
	if err != nil {
		c.Journal.failed(err)
		return
	}
	c.Journal.saw(get, c.ID, call, map[string]string{key: s.value})
	if c.seen == nil {
		c.seen = make(map[string]sight)
	}
	c.seen[key] = s
}

func (c *Client) read(ctx context.Context, key string) (s sight, err error) {
	o, info, _, err := c.At.GetObject(ctx, c.Bucket, key, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	b, err := io.ReadAll(o)
	return sight{string(b), info.ETag}, errors.Join(err, o.Close())
}

// list sees each key of a folder, by the ETag that the listing tells, or that it is not there. It
// does not ask for folders: a MinIO takes a key that is being made or removed for one at times.
func (c *Client) list(ctx context.Context, folder string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := c.Journal.now()
	seen := make(map[string]string, keys)
	for n := range keys {
		seen[folder+fmt.Sprint(n)] = ""
	}
	for o := range c.At.Client.ListObjects(ctx, c.Bucket, minio.ListObjectsOptions{Prefix: folder, Recursive: true}) {
		if o.Err != nil {
			c.Journal.failed(o.Err)
			return
		}
		seen[o.Key] = c.Journal.valueOf(o.ETag)
	}
	c.Journal.saw(list, c.ID, call, seen)
}
