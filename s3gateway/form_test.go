package s3gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/s3gateway/internal/forms"
	"github.com/fado-project/fado/s3gateway/internal/pace"
)

// form is a browser's form: what minio-go signed, and a file.
type form struct {
	url    string
	fields map[string]string
	file   string
	name   string
}

// form has a client sign a policy for a key of bkt.
func (i *instance) form(c *minio.Client, key string, change func(*minio.PostPolicy)) *form {
	i.Helper()
	p := minio.NewPostPolicy()
	i.must(p.SetBucket("bkt"))
	if at, below := strings.CutSuffix(key, "${filename}"); below {
		i.must(p.SetKeyStartsWith(at))
	} else {
		i.must(p.SetKey(key))
	}
	i.must(p.SetExpires(time.Now().Add(time.Hour)))
	if change != nil {
		change(p)
	}
	u, fields, err := c.PresignedPostPolicy(context.Background(), p)
	i.must(err)
	fields["key"] = key
	return &form{url: u.String(), fields: fields, file: "content", name: "a file.txt"}
}

// post sends a form as browsers do.
func (i *instance) post(f *form) (status int, h http.Header, body string) {
	i.Helper()
	resp, text, err := i.send(context.Background(), f)
	i.must(err)
	return resp.StatusCode, resp.Header, text
}

// tryPost returns what a client of another kind would make of a form's answer.
func (i *instance) tryPost(ctx context.Context, f *form) error {
	resp, text, err := i.send(ctx, f)
	if err != nil || resp.StatusCode/100 == 2 {
		return err
	}
	said := minio.ErrorResponse{StatusCode: resp.StatusCode}
	if err := xml.Unmarshal([]byte(text), &said); err != nil {
		return err
	}
	return said
}

func (i *instance) send(ctx context.Context, f *form) (resp *http.Response, text string, err error) {
	i.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for name, v := range f.fields {
		i.must(m.WriteField(name, v))
	}
	if f.name != "" {
		part, err := m.CreateFormFile("file", f.name)
		i.must(err)
		_, err = io.WriteString(part, f.file)
		i.must(err)
	}
	i.must(m.WriteField("submit", "Upload")) // what follows the file is ignored
	i.must(m.Close())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, &b)
	i.must(err)
	req.Header.Set("Content-Type", m.FormDataContentType())
	client := &http.Client{Transport: i.server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if resp, err = client.Do(req); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp, string(all), err
}

// A browser uploads by a form: with its metadata and tags, answered as the form asks for.
func TestForms(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	ctx := context.Background()
	f := w.form(w.api, "up/${filename}", func(p *minio.PostPolicy) {
		w.must(p.SetContentType("text/x-form"))
		w.must(p.SetUserMetadata("colour", "blue"))
		w.must(p.SetContentLengthRange(1, 100))
		w.must(p.SetTagging("<Tagging><TagSet><Tag><Key>t</Key><Value>a b</Value></Tag></TagSet></Tagging>"))
	})
	status, h, body := w.post(f)
	if status != http.StatusNoContent || body != "" || h.Get("Etag") == "" || h.Get("X-Fado-Token") == "" ||
		h.Get("Location") != w.server.URL+"/bkt/up/a%20file.txt" {
		t.Errorf("%d %v %s", status, h, body)
	}
	st, err := w.api.StatObject(ctx, "bkt", "up/a file.txt", minio.StatObjectOptions{})
	if err != nil || st.ContentType != "text/x-form" || st.UserMetadata["Colour"] != "blue" || st.UserTagCount != 1 {
		t.Errorf("%+v %v", st, err)
	}
	if tag, err := w.api.GetObjectTagging(ctx, "bkt", "up/a file.txt", minio.GetObjectTaggingOptions{}); err != nil || tag.ToMap()["t"] != "a b" {
		t.Errorf("tags %v %v", tag, err)
	}
	if got := w.get("bkt", "up/a file.txt"); got != "content" {
		t.Errorf("%q", got)
	}

	f = w.form(w.api, "doc", func(p *minio.PostPolicy) {
		w.must(p.SetSuccessStatusAction("201"))
		w.must(p.SetChecksum(minio.ChecksumCRC32C.ChecksumBytes([]byte("content"))))
	})
	status, h, body = w.post(f)
	if h.Get("X-Amz-Checksum-Crc32c") == "" {
		t.Errorf("the checksum is not kept: %v", h)
	}
	if want := "<Bucket>bkt</Bucket><Key>doc</Key>"; status != http.StatusCreated || !strings.Contains(body, want) || h.Get("Content-Type") != "application/xml" {
		t.Errorf("%d %s", status, body)
	}
	f = w.form(w.api, "led", func(p *minio.PostPolicy) { w.must(p.SetSuccessActionRedirect("http://example.com/done?x=1")) })
	status, h, _ = w.post(f)
	u, err := url.Parse(h.Get("Location"))
	if w.must(err); status != http.StatusSeeOther || u.Host != "example.com" || u.Query().Get("key") != "led" || u.Query().Get("bucket") != "bkt" ||
		u.Query().Get("etag") != h.Get("Etag") || u.Query().Get("x") != "1" {
		t.Errorf("%d %v", status, h)
	}
	// A file of more than one part, and one that ends with a part.
	for n, size := range []int{forms.PartSize + 5, 2 * forms.PartSize} {
		f = w.form(w.api, fmt.Sprint("big", n), nil)
		f.file = strings.Repeat("0123456789abcdef", size/16) + strings.Repeat("z", size%16)
		if status, _, body := w.post(f); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, body)
		}
		if got := w.get("bkt", fmt.Sprint("big", n)); got != f.file {
			t.Errorf("%d bytes", len(got))
		}
	}
}

// What a form's policy, its key or its fields do not allow is not stored.
func TestBadForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) {
		h.keys["reader"] = &catalog.Key{Name: "reader", Secret: "reader-secret", ReadOnly: true}
		h.keys["other"] = &catalog.Key{Name: "other", Secret: "other-secret", Buckets: []string{"else"}}
	})
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	reader, other, nobody := w.as("reader", "reader-secret"), w.as("other", "other-secret"), w.as("nobody", "nobodys-secret")
	size := func(least, most int64) func(*minio.PostPolicy) {
		return func(p *minio.PostPolicy) { w.must(p.SetContentLengthRange(least, most)) }
	}
	for name, c := range map[string]struct {
		by     *minio.Client
		key    string
		policy func(*minio.PostPolicy)
		change func(*form)
		status int
		code   string
	}{
		"another policy":      {change: func(f *form) { f.fields["policy"] = "e30=" }, status: 403, code: "SignatureDoesNotMatch"},
		"another signature":   {change: func(f *form) { f.fields["x-amz-signature"] = strings.Repeat("0", 64) }, status: 403, code: "SignatureDoesNotMatch"},
		"not base64":          {change: func(f *form) { f.fields["policy"] = "!" }, status: 403, code: "SignatureDoesNotMatch"},
		"another key":         {change: func(f *form) { f.fields["key"] = "other" }, status: 403, code: "AccessDenied"},
		"a further field":     {change: func(f *form) { f.fields["x-amz-meta-more"] = "x" }, status: 403, code: "AccessDenied"},
		"another bucket":      {change: func(f *form) { f.url = strings.Replace(f.url, "/bkt", "/els", 1) }, status: 403, code: "AccessDenied"},
		"too large":           {policy: size(1, 3), status: 400, code: "EntityTooLarge"},
		"too small":           {policy: size(30, 40), status: 400, code: "EntityTooSmall"},
		"too large, in parts": {policy: size(1, forms.PartSize+1), change: func(f *form) { f.file = strings.Repeat("x", forms.PartSize+2) }, status: 400, code: "EntityTooLarge"},
		"no file":             {change: func(f *form) { f.name = "" }, status: 400, code: "InvalidArgument"},
		"no key":              {change: func(f *form) { delete(f.fields, "key") }, status: 400, code: "InvalidArgument"},
		"no signature":        {change: func(f *form) { f.fields = map[string]string{"key": "k"} }, status: 403, code: "AccessDenied"},
		"version 2": {change: func(f *form) {
			f.fields = map[string]string{"key": "k", "AWSAccessKeyId": "x", "policy": "e30=", "signature": "x"}
		}, status: 403, code: "AccessDenied"},
		"an unknown key":   {by: nobody, status: 403, code: "InvalidAccessKeyId"},
		"a key that reads": {by: reader, status: 403, code: "AccessDenied"},
		"a key for others": {by: other, status: 403, code: "AccessDenied"},
		"a long key":       {key: strings.Repeat("k", 1025), status: 400, code: "KeyTooLongError"},
		"fields of 20 KiB": {change: func(f *form) { f.fields["x-ignore-it"] = strings.Repeat("x", 21<<10) }, status: 400, code: "MaxPostPreDataLengthExceededError"},
		"a wrong checksum": {policy: func(p *minio.PostPolicy) {
			w.must(p.SetChecksum(minio.NewChecksum(minio.ChecksumCRC32C, make([]byte, 4))))
		}, status: 400, code: "BadDigest"},
	} {
		t.Run(name, func(t *testing.T) {
			by := c.by
			if by == nil {
				by = w.api
			}
			f := w.form(by, cmp.Or(c.key, "k"), c.policy)
			f.fields = maps.Clone(f.fields)
			if c.change != nil {
				c.change(f)
			}
			status, _, body := w.post(f)
			if status != c.status || !strings.Contains(body, "<Code>"+c.code+"</Code>") {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.code)
			}
		})
	}
	if got := w.list("bkt", "", ""); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
	if ups, err := w.core.ListMultipartUploads(context.Background(), "bkt", "", "", "", "", 10); err != nil || len(ups.Uploads) != 0 {
		t.Errorf("uploads left: %+v %v", ups, err)
	}
	status, _, body := w.do(http.MethodPost, "/bkt", http.Header{"Content-Type": {"text/plain"}}, "x")
	if status != http.StatusPreconditionFailed || !strings.Contains(body, "PreconditionFailed") {
		t.Errorf("no form: %d %s", status, body)
	}
}

// What is held of all forms' files is bounded: small ones pass while others hold all there is, one
// that waits for room is told to retry, and then another one is received.
func TestFormsShareTheirRoom(t *testing.T) {
	t.Parallel()
	const bufs = 4
	room := forms.NewRoom(bufs*pace.BufferSize, 200*time.Millisecond)
	hold := func(buffers int) *forms.Part {
		p := room.Part()
		_, err := p.Fill(context.Background(), strings.NewReader(strings.Repeat("x", buffers*pace.BufferSize-1)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	w := single(t, func(h *Handler) { h.forms = room })
	big := w.form(w.api, "big", nil)
	big.file = strings.Repeat("0123456789abcdef", (2*forms.PartSize+77)/16)
	if status, _, body := w.post(big); status != http.StatusNoContent { // beside what is counted
		t.Fatalf("%d %s", status, body)
	}
	if got := w.get("bkt", "big"); got != big.file {
		t.Errorf("another file of %d bytes", len(got))
	}
	most, one, beside := hold(bufs-1), hold(1), hold(1)
	if status, _, body := w.post(big); status != http.StatusServiceUnavailable || !strings.Contains(body, "<Code>SlowDown</Code>") {
		t.Errorf("without room: %d %s", status, body)
	}
	one.Release()
	if status, _, body := w.post(w.form(w.api, "small", nil)); status != http.StatusNoContent {
		t.Errorf("a small one: %d %s", status, body)
	}
	if status, _, body := w.post(big); status != http.StatusServiceUnavailable {
		t.Errorf("a large one: %d %s", status, body)
	}
	beside.Release()
	if status, _, body := w.post(big); status != http.StatusNoContent {
		t.Errorf("with room: %d %s", status, body)
	}
	most.Release()
	hold(bufs).Release() // nothing is left taken
	hold(bufs + 1).Release()
}

// A policy that has expired is refused, by the clock of the endpoint.
func TestExpiredForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	f := w.form(w.api, "k", nil)
	w.handler.now = func() time.Time { return time.Now().Add(61 * time.Minute) }
	if status, _, body := w.post(f); status != http.StatusForbidden || !strings.Contains(body, "Policy expired") {
		t.Errorf("%d %s", status, body)
	}
}
