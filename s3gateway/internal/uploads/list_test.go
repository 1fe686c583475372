package uploads

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A fake is a storage that lists uploads in one of the ways.
type fake struct {
	Source
	all       []Upload // sorted
	forgotten int      // so many of them a MinIO knows by their keys alone, since its restart
	asked     int
}

func newFake(cluster string, way Way) *fake {
	f := &fake{}
	f.Source = Source{Cluster: cluster, Way: way, Ask: f.ask}
	return f
}

func (f *fake) begin(key string, at time.Time) {
	n := len(f.all)
	u := Upload{Key: key, Cluster: f.Cluster, ID: fmt.Sprintf("%s%04d", f.Cluster, 9999-n), Begun: at, Class: "STANDARD"}
	if f.Way == OneKey {
		u.ID = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "deployment.%dx%d", n, at.UnixNano()))
	}
	f.all = append(f.all, u)
	slices.SortFunc(f.all, compare)
}

func (f *fake) end(id string) {
	f.all = slices.DeleteFunc(f.all, func(u Upload) bool { return u.ID == id })
}

type element struct {
	Key       string
	UploadID  string `xml:"UploadId"`
	Initiated string
	Class     string `xml:"StorageClass"`
}

type document struct {
	XMLName      xml.Name `xml:"ListMultipartUploadsResult"`
	EncodingType string   `xml:",omitempty"`
	NextKey      string   `xml:"NextKeyMarker"`
	NextID       string   `xml:"NextUploadIdMarker"`
	IsTruncated  bool
	Upload       []element
}

func (f *fake) ask(_ context.Context, query url.Values) (io.ReadCloser, error) {
	f.asked++
	if !query.Has("uploads") || query.Has("delimiter") {
		return nil, fmt.Errorf("asked for %v", query)
	}
	most, _ := strconv.Atoi(query.Get("max-uploads"))
	most /= 250 // small pages
	prefix, key, id := query.Get("prefix"), query.Get("key-marker"), query.Get("upload-id-marker")
	var found []Upload
	for i, u := range f.all {
		switch f.Way {
		case OneKey:
			if prefix == "" && i >= f.forgotten {
				u.Begun = u.Begun.Add(time.Hour) // as it is in the other list
			}
			if prefix == "" && i >= f.forgotten || prefix != "" && u.Key == prefix {
				found = append(found, u)
			}
		default:
			if strings.HasPrefix(u.Key, prefix) && (u.Key > key || f.Way == Pages && u.Key == key && id != "") {
				found = append(found, u)
			}
		}
	}
	if id != "" {
		at := slices.IndexFunc(found, func(u Upload) bool { return u.ID == id })
		if at < 0 || f.Way == NextKey && found[0].Key != found[at].Key {
			return nil, fmt.Errorf("an invalid marker: %v", query)
		}
		found = found[at+1:]
	}
	var doc document
	if f.Way != NextKey {
		doc.EncodingType = "url"
	}
	if len(found) > most && (f.Way != OneKey || prefix != "") {
		found = found[:most]
		doc.IsTruncated, doc.NextID = true, found[most-1].ID
		if f.Way != OneKey {
			doc.NextKey = found[most-1].Key
		}
	}
	for _, u := range found {
		doc.Upload = append(doc.Upload, element{u.Key, u.ID, u.Begun.Format(time.RFC3339Nano), u.Class})
	}
	if doc.EncodingType != "" {
		doc.NextKey = url.QueryEscape(doc.NextKey)
		for i := range doc.Upload {
			doc.Upload[i].Key = url.QueryEscape(doc.Upload[i].Key)
		}
	}
	b, err := xml.Marshal(doc)
	return io.NopCloser(strings.NewReader(string(b))), err
}

// want is the whole list, made in the simplest way.
func want(q Query, storages []*fake) (names []string) {
	var all []Upload
	for _, f := range storages {
		for i, u := range f.all {
			if f.Way != OneKey || i >= f.forgotten || u.Key == q.Prefix {
				all = append(all, u)
			}
		}
	}
	slices.SortFunc(all, compare)
	for _, u := range all {
		if rest, ok := strings.CutPrefix(u.Key, q.Prefix); ok {
			name := u.Key + " " + u.ID
			if folder, _, in := strings.Cut(rest, q.Delimiter); in && q.Delimiter != "" {
				name = q.Prefix + folder + q.Delimiter
			}
			if len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
		}
	}
	return names
}

// listAll reads page by page. Before each but the first, between is called with what the one
// before had.
func listAll(t rapid.TB, q Query, storages []*fake, between func(*Page)) (names []string) {
	t.Helper()
	sources := make([]Source, len(storages))
	for i, f := range storages {
		sources[i] = f.Source
	}
	for range 1000 {
		page, err := List(context.Background(), q, sources)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(page.Uploads) + len(page.Prefixes); n > q.Most || page.More && n < q.Most {
			t.Fatalf("a page of %d entries, of %d", n, q.Most)
		}
		u, p := page.Uploads, page.Prefixes
		for len(u)+len(p) > 0 {
			if len(p) == 0 || len(u) > 0 && u[0].Key < p[0] {
				names, u = append(names, u[0].Key+" "+u[0].ID), u[1:]
			} else {
				names, p = append(names, p[0]), p[1:]
			}
		}
		if !page.More {
			return names
		}
		if between != nil {
			between(page)
		}
		q.After, q.Mark = page.Last.Key, nil
		if page.Last.ID != "" {
			q.Mark = &Upload{Cluster: page.Last.Cluster, ID: page.Last.ID}
		}
	}
	t.Fatal("the list has no end")
	return nil
}

// Whatever way storages list uploads in, and however they are spread over them, all are listed
// once, in order, in pages of any size.
func TestPagesAreTheWholeList(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "a/", "a/b", "a/b/c", "a//", "a b+c%", "ü", "a\U0010FFFE", "\ue000", "z&<"})
	rapid.Check(t, func(t *rapid.T) {
		var storages []*fake
		begun := time.Unix(1_700_000_000, 0).UTC()
		for _, c := range rapid.SampledFrom([]string{"x", "xy", "xyz"}).Draw(t, "clusters") {
			f := newFake(string(c), rapid.SampledFrom([]Way{Pages, OneKey, NextKey}).Draw(t, "way"))
			for range rapid.IntRange(0, 20).Draw(t, "uploads") {
				begun = begun.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "later")) * time.Second)
				f.begin(names.Draw(t, "key"), begun)
			}
			f.forgotten = rapid.IntRange(0, len(f.all)/4).Draw(t, "forgotten")
			storages = append(storages, f)
		}
		q := Query{
			Prefix:    rapid.SampledFrom([]string{"", "", "a", "a/", "a/b"}).Draw(t, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/", "b"}).Draw(t, "delimiter"), Most: rapid.IntRange(1, 7).Draw(t, "most"),
		}
		expected := want(q, storages)
		if got := listAll(t, q, storages, nil); !slices.Equal(got, expected) {
			t.Fatalf("%q, want %q", got, expected)
		}
	})
}

// Who aborts each page of uploads and lists on from its marker, which is gone then, finds all.
func TestUploadsThatEndMeanwhile(t *testing.T) {
	for _, way := range []Way{Pages, OneKey, NextKey} {
		t.Run(fmt.Sprint(way), func(t *testing.T) {
			f := newFake("c", way)
			for n := range 40 {
				f.begin(fmt.Sprint("k", n%3), time.Unix(int64(n), 0))
			}
			ended := make(map[string]bool)
			for len(f.all) > 0 {
				listAll(t, Query{Most: 4}, []*fake{f}, func(p *Page) {
					for _, u := range p.Uploads {
						if ended[u.ID] {
							t.Fatalf("%s is listed after its end", u.ID)
						}
						ended[u.ID] = true
						f.end(u.ID)
					}
				})
				for _, u := range f.all { // the last page
					ended[u.ID] = true
				}
				if len(ended) != 40 {
					t.Fatalf("%d of 40 were listed", len(ended))
				}
				f.all = nil
			}
		})
	}
}

// Folders of many uploads are passed over, and the list of a storage is read no further than
// the page needs.
func TestFewRequests(t *testing.T) {
	f := newFake("c", Pages)
	for n := range 4000 {
		f.begin(fmt.Sprintf("%d/%04d", n/1000, n), time.Unix(0, 0))
	}
	if got := listAll(t, Query{Delimiter: "/", Most: 1000}, []*fake{f}, nil); !slices.Equal(got, []string{"0/", "1/", "2/", "3/"}) || f.asked > 5 {
		t.Errorf("%q by %d requests", got, f.asked)
	}
	f.asked = 0
	if _, err := List(t.Context(), Query{Most: 3}, []Source{f.Source}); err != nil || f.asked > 2 {
		t.Errorf("%d requests, %v", f.asked, err)
	}
}

// endless is a list that has no end.
type endless struct{ head, rest string }

func (e *endless) Read(p []byte) (int, error) {
	if e.head == "" {
		e.head = e.rest
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	return n, nil
}

// A storage's document without end is given up, and one that is no list is an error.
func TestBadLists(t *testing.T) {
	const one = "<Upload><Key>k</Key><UploadId>i</UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload>"
	for name, r := range map[string]io.Reader{
		"a key without end":             &endless{"<ListMultipartUploadsResult><Upload><Key>", "k"},
		"an attribute without end":      &endless{"<ListMultipartUploadsResult a='", "k"},
		"uploads, encoding not told":    &endless{"<ListMultipartUploadsResult>", one},
		"cut":                           strings.NewReader("<ListMultipartUploadsResult>" + one),
		"a key that is no encoding":     strings.NewReader("<ListMultipartUploadsResult><EncodingType>url</EncodingType><Upload><Key>%zz</Key><Initiated>2026-01-02T03:04:05Z</Initiated></Upload></ListMultipartUploadsResult>"),
		"a time that is none":           strings.NewReader("<ListMultipartUploadsResult><Upload><Key>k</Key><Initiated>soon</Initiated></Upload></ListMultipartUploadsResult>"),
		"nothing":                       strings.NewReader(""),
		"no document":                   strings.NewReader("no uploads"),
		"an error":                      strings.NewReader("<Error><Code>InternalError</Code></Error>"),
		"a list that does not go ahead": strings.NewReader("<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>"),
	} {
		s := Source{Cluster: "c", Ask: func(context.Context, url.Values) (io.ReadCloser, error) { return io.NopCloser(r), nil }}
		if page, err := List(t.Context(), Query{Most: 10}, []Source{s}); err == nil {
			t.Errorf("%s: %+v", name, page)
		}
	}
	if b := before("a\ue000"); b != "a\ud7ff"+last || before("\x01") != "" || before("ab") != "aa"+last {
		t.Errorf("%q", b)
	}
}

// What is not to be shown takes no place on a page, and makes no folder.
func TestShown(t *testing.T) {
	f := newFake("c", Pages)
	for n := range 20 {
		f.begin(fmt.Sprintf("%d/k", n%4), time.Unix(int64(n), 0))
	}
	q := Query{Most: 3, Delimiter: "/", Shown: func(u *Upload) bool { return u.Key == "1/k" || u.Key == "3/k" }}
	if got := listAll(t, q, []*fake{f}, nil); !slices.Equal(got, []string{"1/", "3/"}) {
		t.Errorf("%q", got)
	}
	q.Delimiter = ""
	if got := listAll(t, q, []*fake{f}, nil); len(got) != 10 {
		t.Errorf("%q", got)
	}
}
