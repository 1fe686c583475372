package storage

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/fado-project/fado/storage/s3"
)

// endless serves listings of n keys, made up page by page.
func endless(t *testing.T, n int) *whole {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := strconv.Atoi(r.FormValue("continuation-token"))
		if err != nil {
			from = 0
		}
		out := bufio.NewWriter(w)
		defer out.Flush()
		to := min(from+s3.PageSize, n)
		fmt.Fprintf(out, "<ListBucketResult><IsTruncated>%v</IsTruncated><NextContinuationToken>%d</NextContinuationToken>", to < n, to)
		for i := from; i < to; i++ {
			fmt.Fprintf(out, `<Contents><Key>directory/object-%012d</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>`+
				`<ETag>&#34;%032x&#34;</ETag><Size>4096</Size></Contents>`, i, i)
		}
		fmt.Fprint(out, "</ListBucketResult>")
	}))
	t.Cleanup(srv.Close)
	c, err := openWhole(Config{Name: "endless", Endpoint: srv.URL, AccessKey: "key", SecretKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestListMemoryIsBounded: what a listing holds does not grow with its length. With
// FADO_LONG_TESTS it is as long as a large bucket's.
func TestListMemoryIsBounded(t *testing.T) {
	n := 200_000
	if os.Getenv("FADO_LONG_TESTS") != "" {
		n = 10_000_000
	} else if testing.Short() {
		n = 150_000
	}
	c := endless(t, n)
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most, count := live(), int64(0), 0
	for o, err := range c.List(t.Context(), "bucket", "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count%(n/20) == 0 {
			most = max(most, live()-before)
		}
		if count == n && o.Key != fmt.Sprintf("directory/object-%012d", n-1) {
			t.Errorf("the last key is %s", o.Key)
		}
	}
	if count != n {
		t.Errorf("%d keys of %d", count, n)
	}
	// 200,000 keys and ETags alone are 13 MiB; pages in flight are well below one.
	if most > 8<<20 {
		t.Errorf("the heap grew by %d KiB over %d keys", most>>10, n)
	}
	t.Logf("%d keys, at most %d KiB", count, most>>10)
}
