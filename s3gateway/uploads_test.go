package s3gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
)

// begun is an upload as its client knows it.
type begun struct{ key, id string }

// begin begins uploads of keys through one instance after the other.
func begin(t *testing.T, bucket string, keys []string, at ...*instance) (all []begun) {
	t.Helper()
	for n, key := range keys {
		id, err := at[n%len(at)].core.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
		at[0].must(err)
		all = append(all, begun{key, id})
	}
	return all
}

// listing pages through the uploads of a bucket as S3's SDKs do. Between two pages next is called.
func (i *instance) unfinished(bucket, prefix, delimiter string, most int, next func([]begun)) (all []begun, prefixes []string) {
	i.Helper()
	key, id := "", ""
	for range 100 {
		page, err := i.core.ListMultipartUploads(context.Background(), bucket, prefix, key, id, delimiter, most)
		i.must(err)
		var uploads []begun
		for _, u := range page.Uploads {
			uploads = append(uploads, begun{u.Key, u.UploadID})
		}
		for _, p := range page.CommonPrefixes {
			prefixes = append(prefixes, p.Prefix)
		}
		if n := len(page.Uploads) + len(page.CommonPrefixes); n > most || page.IsTruncated && n == 0 {
			i.Fatalf("a page of %d", n)
		}
		all = append(all, uploads...)
		if !page.IsTruncated {
			return all, prefixes
		}
		if next != nil {
			next(uploads)
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
	i.Fatalf("the list has no end (%q, by %q, pages of %d): it is at %q, %s", prefix, delimiter, most, key, id)
	return nil, nil
}

// sorted puts uploads in order, those of one key by their IDs: versitygw tells no more of their times
// than the second.
func sorted(all []begun) []begun {
	return slices.SortedFunc(slices.Values(all), func(a, b begun) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
}

// same reports whether what was listed is what is expected, and in the order of its keys.
func same(got, want []begun) bool {
	return slices.IsSortedFunc(got, func(a, b begun) int { return cmp.Compare(a.key, b.key) }) && slices.Equal(sorted(got), sorted(want))
}

// Uploads are listed page by page, below prefixes and by folders, through each instance, whatever
// storage they are at: MinIO and versitygw can't by themselves.
func TestUploadsPageByPage(t *testing.T) {
	t.Parallel()
	keys := []string{
		"dir/b", "dir/a", "top", "dir/sub/x", "same", "same", "dir/a", "ü b+c%20&d", "same", "dir/sub/y", "same", "sa", "zz/1", "zz/2", "same",
	}
	for name, of := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.cluster("c1", of.Server(t))
			w.policy("one", 1, "c1")
			w.bucket("bkt", "one", "c1")
			w.listsUploads(t, "bkt", keys, w.instance)
		})
	}
	t.Run("written anywhere, two instances", func(t *testing.T) {
		t.Parallel()
		w, at := shared(t)
		w.apply(&catalog.Policy{Name: "any", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2"}, Writes: catalog.WritesAnywhere})
		w.bucket("any", "any", "c1")
		for n, i := range at {
			w.await("writes at each place", func() bool {
				status, h, _ := i.do(http.MethodPut, fmt.Sprint("/any/first", n), nil, "")
				token, ok := routing.ParseToken(h.Get("X-Fado-Token"))
				return status == http.StatusOK && ok && token.Cluster == i.handler.Cluster
			})
		}
		w.awaitOK("any") // a list is read where all is current
		w.listsUploads(t, "any", keys, at...)
	})
}

func (w *world) listsUploads(t *testing.T, bucket string, keys []string, at ...*instance) {
	t.Helper()
	all := begin(t, bucket, keys, at...)
	for _, i := range at {
		for _, most := range []int{1, 2, 4, 1000} {
			if got, _ := i.unfinished(bucket, "", "", most, nil); !same(got, all) {
				t.Errorf("pages of %d: %v, want %v", most, got, all)
			}
		}
		below := slices.DeleteFunc(slices.Clone(all), func(u begun) bool { return !strings.HasPrefix(u.key, "dir/") })
		if got, _ := i.unfinished(bucket, "dir/", "", 2, nil); !same(got, below) {
			t.Errorf("below dir/: %v, want %v", got, below)
		}
		top := slices.DeleteFunc(slices.Clone(all), func(u begun) bool { return strings.Contains(u.key, "/") })
		for _, most := range []int{1, 3, 1000} {
			if got, dirs := i.unfinished(bucket, "", "/", most, nil); !same(got, top) || !slices.Equal(dirs, []string{"dir/", "zz/"}) {
				t.Errorf("folders, pages of %d: %v and %q, want %v", most, got, dirs, top)
			}
		}
		if got, dirs := i.unfinished(bucket, "dir/", "/", 1, nil); len(got) != 3 || !slices.Equal(dirs, []string{"dir/sub/"}) {
			t.Errorf("folders below dir/: %v and %q", got, dirs)
		}
	}
	w.uploadsAsAsked(t, bucket)
	// Who aborts what a page has, and goes on from its end, leaves none.
	aborted := make(map[string]bool)
	abort := func(page []begun) {
		for _, u := range page {
			w.must(w.core.AbortMultipartUpload(t.Context(), bucket, u.key, u.id))
			aborted[u.id] = true
		}
	}
	last, _ := at[0].unfinished(bucket, "", "", 2, abort)
	for _, u := range last {
		if !aborted[u.id] {
			abort([]begun{u})
		}
	}
	if len(aborted) != len(all) {
		t.Errorf("%d of %d uploads were listed while they were aborted", len(aborted), len(all))
	}
	if got, _ := at[0].unfinished(bucket, "", "", 10, nil); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// uploadsAsAsked: what a request says is in its answer, and what it must not say is refused.
func (w *world) uploadsAsAsked(t *testing.T, bucket string) {
	t.Helper()
	for query, want := range map[string]string{
		"?uploads&max-uploads=0":                               "<MaxUploads>0</MaxUploads><IsTruncated>false</IsTruncated></",
		"?uploads&encoding-type=url&prefix=%C3%BC":             "<Key>%C3%BC+b%2Bc%2520%26d</Key>",
		"?uploads&prefix=%C3%BC":                               "<Key>ü b+c%20&amp;d</Key>",
		"?uploads&prefix=top":                                  "<ID>fado</ID>",
		"?uploads&max-uploads=5000":                            "<MaxUploads>1000</MaxUploads>",
		"?uploads&max-uploads=-1":                              "InvalidArgument",
		"?uploads&max-uploads=x":                               "InvalidArgument",
		"?uploads&encoding-type=other":                         "InvalidArgument",
		"?uploads&key-marker=top&upload-id-marker=x":           "InvalidArgument",
		"?uploads&upload-id-marker=x&max-uploads=1":            "<Key>dir/a</Key>", // no key: it is ignored
		"?uploads&key-marker=sa&max-uploads=1":                 "<Key>same</Key>",
		"?uploads&key-marker=dir/&delimiter=/&max-uploads=1":   "<Key>sa</Key>",
		"?uploads&key-marker=dir/b&delimiter=/&max-uploads=1":  "<Prefix>dir/</Prefix>",
		"?uploads&prefix=dir/&key-marker=dir/sub/&delimiter=/": "<IsTruncated>false</IsTruncated></",
	} {
		if _, _, answer := w.do(http.MethodGet, "/"+bucket+query, nil, ""); !strings.Contains(answer, want) {
			t.Errorf("%s: %s, want %s", query, answer, want)
		}
	}
}

// More uploads than a storage lists at a time.
func TestManyUploads(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it begins thousands of uploads")
	}
	for name, of := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.cluster("c1", of.Server(t))
			w.policy("one", 1, "c1")
			w.bucket("bkt", "one", "c1")
			direct := w.direct(of.Server(t))
			const n = 1300
			for i := range n {
				_, err := direct.NewMultipartUpload(t.Context(), w.prefix+"bkt", fmt.Sprint("k", i/650), minio.PutObjectOptions{})
				w.must(err)
			}
			for _, most := range []int{400, 1000} {
				got, _ := w.unfinished("bkt", "", "", most, nil)
				seen := make(map[begun]bool)
				for _, u := range got {
					seen[u] = true
				}
				if len(got) != n || len(seen) != n {
					t.Errorf("pages of %d: %d uploads, %d different ones", most, len(got), len(seen))
				}
			}
		})
	}
}

// What FaDO itself uploads, of copies, is no user's upload.
func TestUploadsOfCopiesAreNotListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c1" })
	w.cluster("c1", minioA.Server(t))
	p := testenv.StartProxy(t, minioB.Server(t).Endpoint)
	w.clusterAt("c2", minioB.Server(t), p.Endpoint())
	w.apply(&catalog.Policy{Name: "both", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2"}, Writes: catalog.WritesAnywhere})
	w.bucket("bkt", "both", "c1")
	w.put("bkt", "big", strings.Repeat("x", 100))
	w.awaitOK("bkt")
	mine := begin(t, "bkt", []string{"mine"}, w.instance)
	direct := w.direct(minioB.Server(t))
	physical := w.prefix + "bkt"
	p.Slow(testenv.Up, 512<<10)
	w.put("bkt", "big", strings.Repeat("y", 4<<20))
	w.await("an upload of the copy", func() bool {
		ups, err := direct.ListMultipartUploads(t.Context(), physical, "big", "", "", "", 10)
		w.must(err)
		return len(ups.Uploads) > 0
	})
	w.await("its note", func() bool {
		own, err := w.eng.Gateway().OwnUploads(t.Context(), "bkt")
		return err == nil && len(own["c2"]) > 0
	})
	got, _ := w.unfinished("bkt", "", "", 1000, nil)
	ups, err := direct.ListMultipartUploads(t.Context(), physical, "big", "", "", "", 10)
	w.must(err)
	if len(ups.Uploads) == 0 {
		t.Skip("the copy was made before it could be looked at")
	}
	if !slices.Equal(got, mine) {
		t.Errorf("%v, want %v", got, mine)
	}
}

// Parts are listed page by page, in the order of their numbers, with the ETags that their clients were
// given, whatever storage has them; one that was replaced is listed as it is now.
func TestPartsPageByPage(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.cluster("c1", of.Server(t))
			w.policy("one", 1, "c1")
			w.bucket("bkt", "one", "c1")
			up := begin(t, "bkt", []string{"a b/ü"}, w.instance)[0]
			var want []string
			for _, n := range []int{7, 1, 10, 3, 2, 9, 3} { // the second 3 replaces the first
				part, err := w.core.PutObjectPart(t.Context(), "bkt", up.key, up.id, n, strings.NewReader(strings.Repeat("x", n+len(want))), int64(n+len(want)), minio.PutObjectPartOptions{})
				w.must(err)
				want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("%05d ", n)) })
				want = append(want, fmt.Sprintf("%05d %s", n, strings.Trim(part.ETag, `"`)))
			}
			slices.Sort(want)
			for _, most := range []int{1, 2, 5, 6, 1000} {
				var got []string
				marker := 0
				for range 20 {
					page, err := w.core.ListObjectParts(t.Context(), "bkt", up.key, up.id, marker, most)
					w.must(err)
					for _, p := range page.ObjectParts {
						got = append(got, fmt.Sprintf("%05d %s", p.PartNumber, strings.Trim(p.ETag, `"`)))
					}
					if marker = page.NextPartNumberMarker; !page.IsTruncated {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("pages of %d: %q, want %q", most, got, want)
				}
			}
		})
	}
}
