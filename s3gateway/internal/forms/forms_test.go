package forms

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/s3gateway/internal/pace"
)

// Forms that wait for each other's memory all end: one of them always goes on.
func TestFormsThatWaitForEachOther(t *testing.T) {
	t.Parallel()
	room := NewRoom(12*pace.BufferSize, time.Minute) // a part takes 20
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			p := room.Part()
			defer p.Release()
			more, err := p.Fill(context.Background(), io.LimitReader(zeros{}, PartSize+1))
			if err != nil || !more || p.n != PartSize {
				t.Errorf("%d bytes, more %t: %v", p.n, more, err)
			}
		})
	}
	wg.Wait()
	if len(room.taken) != 0 || len(room.last) != 0 {
		t.Error("something is still taken")
	}
}

// A part's buffers are others' once it is released, even if someone still reads it.
func TestReleasedPartsAreNotRead(t *testing.T) {
	t.Parallel()
	p := NewRoom(Memory, time.Second).Part()
	if _, err := p.Fill(context.Background(), strings.NewReader(strings.Repeat("x", 3*pace.BufferSize))); err != nil {
		t.Fatal(err)
	}
	r := p.Reader()
	if n, err := io.ReadFull(r, make([]byte, pace.BufferSize+5)); err != nil {
		t.Fatal(n, err)
	}
	_ = r.Close()
	p.Release()
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d bytes of a released part: %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What no header can be is no field of an object.
func TestFormHeaders(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]map[string]string{
		"AccessControlListNotSupported": {"acl": "public-read"},
		"InvalidArgument":               {"x-amz-meta-a b": "x"},
		"MetadataTooLarge":              {"x-amz-meta-a": strings.Repeat("x", 2100)},
		"MalformedXML":                  {"tagging": "<Tagging>"},
		"NotImplemented":                {"x-amz-server-side-encryption-customer-key": "x"},
	} {
		if _, err := Headers(fields); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%v: %v, want %s", fields, err, name)
		}
	}
	if _, err := Headers(map[string]string{"content-type": "a\r\nb: c"}); err == nil {
		t.Error("a line break is taken")
	}
}

// A form's fields are the object's headers, its status what it asks for, and it leads its browser to
// where it says, with what was stored.
func TestWhatFormsSay(t *testing.T) {
	t.Parallel()
	h, err := Headers(map[string]string{
		"content-type": "a/b", "x-amz-meta-colour": "blue", "cache-control": "no-store", "acl": "private", "x-amz-storage-class": "STANDARD",
		"tagging": "<Tagging><TagSet><Tag><Key>t</Key><Value>a b</Value></Tag></TagSet></Tagging>",
		"key":     "k", "policy": "p", "x-amz-signature": "s", "x-ignore-me": "x", "content-md5": "m", "x-amz-checksum-crc32": "c",
	})
	want := http.Header{
		"Content-Type": {"a/b"}, "X-Amz-Meta-Colour": {"blue"}, "Cache-Control": {"no-store"}, "X-Amz-Storage-Class": {"STANDARD"}, "X-Amz-Tagging": {"t=a%20b"},
	}
	if err != nil || !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("%v %v, want %v", h, err, want)
	}
	for in, want := range map[string]int{"": 204, "200": 200, "201": 201, "204": 204, "302": 204, "x": 204} {
		if got, err := Status(in); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", in, got, err, want)
		}
	}
	for to, want := range map[string]string{
		"https://x.example/a?b=c": "https://x.example/a?b=c&bucket=bkt&etag=%22e%22&key=k+1", "": "", "javascript:alert(1)": "", "/relative": "", "http://": "", "://": "",
	} {
		for _, field := range []string{"success_action_redirect", "redirect"} {
			if got, ok := Redirection(map[string]string{field: to}, "bkt", "k 1", `"e"`); got != want || ok != (want != "") {
				t.Errorf("%s %q: %q %t, want %q", field, to, got, ok, want)
			}
		}
	}
}

// Who waits for room in vain is told to come again, and who goes away waits no longer.
func TestRoomIsWaitedFor(t *testing.T) {
	t.Parallel()
	room := NewRoom(pace.BufferSize, 10*time.Millisecond)
	held, beside := room.Part(), room.Part()
	for _, p := range []*Part{held, beside} {
		if more, err := p.Fill(t.Context(), strings.NewReader("x")); err != nil || more || p.Len() != 1 {
			t.Fatal(more, err, p.Len())
		}
	}
	if _, err := room.Part().Fill(t.Context(), zeros{}); err == nil || !strings.HasPrefix(err.Error(), "SlowDown") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	room.patience = time.Hour
	if _, err := room.Part().Fill(ctx, zeros{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	held.Release()
	if b, err := io.ReadAll(beside.Reader()); err != nil || string(b) != "x" { // another's release takes nothing from it
		t.Errorf("%q %v", b, err)
	}
	beside.Release()
	if beside.Len() != 0 || len(room.taken) != 0 || len(room.last) != 0 {
		t.Error("something is still held")
	}
	if _, err := held.Fill(t.Context(), io.MultiReader(strings.NewReader("x"), errReader{})); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a file that breaks off: %v", err)
	}
	held.Release()
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrNoProgress }
