package cors

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"testing"
	"time"
)

const document = `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>
<AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedOrigin>http://localhost</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>
<AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>
</CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule></CORSConfiguration>`

func rules(t *testing.T) *Rules {
	t.Helper()
	r := new(Rules)
	if err := xml.Unmarshal([]byte(document), r); err != nil || len(r.List) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	return r
}

// A rule allows what its patterns match, in full and nothing beside it.
func TestAllows(t *testing.T) {
	first := rules(t).List[0]
	for _, c := range []struct {
		origin, method string
		headers        []string
		want           bool
	}{
		{"https://a.example.org", "GET", nil, true},
		{"https://.example.org", "PUT", []string{"x-amz-date", "content-type"}, true},
		{"http://localhost", "GET", []string{"x-amz-"}, true},
		{"http://localhost:80", "GET", nil, false},
		{"https://example.org", "GET", nil, false},
		{"https://a.example.org.evil", "GET", nil, false},
		{"https://a.example.org", "DELETE", nil, false},
		{"https://a.example.org", "get", nil, false},
		{"https://a.example.org", "GET", []string{"x-amz-date", "authorization"}, false},
		{"", "GET", nil, false},
	} {
		if got := first.Allows(c.origin, c.method, c.headers); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if last := rules(t).List[1]; !last.Allows("null", "HEAD", nil) || last.Allows("null", "HEAD", []string{"x"}) {
		t.Error("a rule without headers")
	}
}

// The answer names the origin where the rule does not allow all, and lets credentials pass then.
func TestAnswer(t *testing.T) {
	for i, want := range []string{
		"map[Access-Control-Allow-Credentials:[true] Access-Control-Allow-Methods:[GET, PUT] Access-Control-Allow-Origin:[http://localhost] Access-Control-Expose-Headers:[ETag] Access-Control-Max-Age:[60]]",
		"map[Access-Control-Allow-Methods:[HEAD] Access-Control-Allow-Origin:[*]]",
	} {
		h := make(http.Header)
		rules(t).List[i].Answer(h, "http://localhost")
		if got := fmt.Sprint(h); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Rules are fresh until their time, known after it, and gone when they are forgotten or too many.
func TestCache(t *testing.T) {
	var k Cache
	now, r := time.Now(), rules(t)
	k.Put("b", r, now.Add(Fresh))
	if got, fresh := k.Get("b", now); got != r || !fresh {
		t.Errorf("%v, fresh %v", got, fresh)
	}
	if got, fresh := k.Get("b", now.Add(Fresh)); got != r || fresh {
		t.Errorf("after its time: %v, fresh %v", got, fresh)
	}
	k.Forget("b")
	if got, fresh := k.Get("b", now); got != nil || fresh {
		t.Errorf("forgotten: %v, fresh %v", got, fresh)
	}
	for n := range mostBuckets + 5 {
		k.Put(fmt.Sprint(n), r, now)
	}
	if len(k.by) > mostBuckets {
		t.Errorf("%d buckets are kept", len(k.by))
	}
}
