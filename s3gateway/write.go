package s3gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// writer is a call that may change something at storages.
type writer struct{ reader }

// writes makes a writer of the call of an operation.
func writes(run func(writer) error) func(*call) error {
	return func(c *call) error { return run(writer{reader{c}}) }
}

// putObject answers PutObject.
func putObject(c writer) error {
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	f, err := c.upload(nil)
	if err != nil {
		return err
	}
	if err := c.change(f, []string{c.key}); err != nil {
		return err
	}
	c.router().Sizes().Note(c.bucket, c.key, f.Size)
	return nil
}

// putObjectPart answers what is changed of an object beside its content.
func putObjectPart(c writer) error {
	b, err := c.readBody(wire.MaxSmallXML)
	if err != nil {
		return err
	}
	f, err := c.document(b, objectQuery)
	if err != nil {
		return err
	}
	return c.change(f, []string{c.key})
}

// putLock answers PutObjectLegalHold and PutObjectRetention: where one storage has the say of what
// is locked. Elsewhere an object would be locked where the change was made alone.
func putLock(c writer) error {
	if c.router().Snapshot().Of(c.bucket).Anywhere(c.key) {
		return locksAnywhere(c)
	}
	return putObjectPart(c)
}

func locksAnywhere(c writer) error {
	return s3err.NotImplemented(c.op.name + " where objects are written anywhere, and copies follow no change of their locks,")
}

// upload is a request whose body streams through. The checksums that follow it follow it at the
// storage too, where that keeps them.
func (c writer) upload(query url.Values) (*storage.Forward, error) {
	v := c.verified
	if v.Length < 0 {
		return nil, s3err.New(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Header: wire.RequestHeaders(c.r.Header), Body: &countedReader{v.Body, c.h.app}, Size: v.Length,
	}
	name := http.CanonicalHeaderKey(strings.TrimSpace(c.r.Header.Get("X-Amz-Trailer")))
	if !storage.KnownTrailer(name) { // there is none, or it is verified here alone
		return f, nil
	}
	if v.Length == 0 { // it is verified already
		if sum := v.Trailer(); sum != nil {
			f.Header.Set(name, sum.Get(name))
		}
		return f, nil
	}
	f.Trailers, f.TrailerNames = v.Trailer, []string{name}
	return f, nil
}

// countedReader counts what a client sends.
type countedReader struct {
	r   io.Reader
	app App
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.app.S3().CountS3Bytes("in", int64(n))
	return n, err
}

// document is a request whose body is short and was read whole, so that it is known to be
// right before anything is asked for.
func (c writer) document(b []byte, query []string) (*storage.Forward, error) {
	f := &storage.Forward{
		Name: c.op.name, Method: c.r.Method, Bucket: c.bucket, Key: c.key,
		Query: wire.Pick(c.query, query), Header: wire.RequestHeaders(c.r.Header), Size: int64(len(b)),
	}
	if len(b) > 0 {
		if err := wire.CheckDepth(b); err != nil {
			return nil, s3err.MalformedXML(err)
		}
		f.Body = strings.NewReader(string(b))
		wire.SetMD5(f.Header, b)
	}
	return f, nil
}

// change makes a request that changes keys where they are written, and passes its answer on.
func (c writer) change(f *storage.Forward, keys []string) error {
	return c.placed(c.key, func(cluster string) error {
		out, err := c.write(cluster, f, keys)
		if err != nil {
			return err
		}
		return c.written(cluster, out, nil)
	})
}

// placed makes a write where a key is written: once more where it waited for a primary that moved.
func (c writer) placed(key string, write func(cluster string) error) error {
	for attempt := 1; ; attempt++ {
		cluster, err := c.writePlace(key)
		if err != nil {
			return err
		}
		if err := write(cluster); attempt == maxPlaces || !errors.Is(err, replication.ErrMoved) {
			return err
		}
	}
}

// maxPlaces bounds the places that a write is tried at.
const maxPlaces = 3

// writing is the way of the bytes of the call's object from the client.
func (c writer) writing(cluster string) replication.Passage {
	return replication.Passage{Bucket: c.bucket, Key: c.key, Cluster: cluster, Via: c.h.Cluster, Cut: c.w.CutBody}
}

// write makes a request that may change something at a cluster.
// It returns when as many copies as write_ack says have the keys.
func (c writer) write(cluster string, f *storage.Forward, keys []string) (*replication.Written, error) {
	if err := deletesOn(c, cluster, f); err != nil {
		return nil, err
	}
	if err := (acks{c}).check(cluster, keys, f.Size); err != nil {
		return nil, err
	}
	out, err := c.gateway.Write(c.ctx, replication.UserWrite{
		Passage: c.writing(cluster), Keys: keys, Whole: len(keys) == 0 && f.Key == "",
	}, f)
	if err != nil {
		return nil, err
	}
	switch status := out.Status; {
	case status/100 != 2:
		return nil, c.storageError(status, out.Header, bytes.NewReader(out.Body))
	case wire.IsError(out.Body): // a storage may begin with 200 and end in an error
		return nil, c.storageError(http.StatusInternalServerError, out.Header, bytes.NewReader(out.Body))
	}
	return out, acks{c}.await(cluster, keys, f)
}

// written passes the answer to a write on, its body rewritten by text.
func (c writer) written(cluster string, out *replication.Written, text map[string]func(string) string) error {
	body := out.Body
	if len(body) > 0 && text != nil {
		var err error
		if body, err = wire.RewriteXML(body, text); err != nil {
			return s3err.Unreadable(err)
		}
	}
	h := c.w.Header()
	wire.AnswerHeaders(h, out.Header)
	h.Del("Content-Length")
	if c.key != "" {
		h.Set("X-Fado-Token", token(cluster, c.bucket, c.key, out.Header))
	}
	c.writeBody(out.Status, "", body)
	return nil
}

// token names a write to clients, who put it into X-FaDO-Token of an invocation.
func token(cluster, bucket, key string, h http.Header) string {
	version := h.Get("X-Amz-Version-Id")
	if version == "" {
		version = strings.Trim(h.Get("Etag"), `"`)
	}
	return routing.Token{Object: routing.IDOf(bucket, key), Cluster: cluster, Version: version}.String()
}
