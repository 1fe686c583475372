package lbpolicy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/fado-project/fado/catalog"
)

// Every endpoint is asked as its declaration says, with secrets as they are when the request
// is sent, and none gets what is for another one.
func TestEndpointsAreDressed(t *testing.T) {
	w := newWorld(t)
	seen := make(chan *http.Request, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Clone(r.Context()) }))
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	f := at(srv.URL)
	f.Host = "fn.{http.request.header.X-Tenant}.example.com"
	f.Header = []catalog.HeaderField{{Name: "authorization", Value: "Bearer {file." + token + "}"}, {Name: "X-Where", Value: "{fado.cluster}"}}
	w.cluster("c1", f)
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware")
	for _, want := range []string{"first", "second"} {
		write(want)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://site/x", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Tenant", "acme")
		req.Header.Set("Authorization", "the client's")
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		got := <-seen
		if got.Host != "fn.acme.example.com" || got.Header.Get("Authorization") != "Bearer "+want || got.Header.Get("X-Where") != "c1" {
			t.Errorf("the function got host %q, headers %v", got.Host, got.Header)
		}
	}
}

// A signed request arrives with a signature that holds for what arrives: method, path, query,
// host, headers and body.
func TestSignedRequestsArriveAsSigned(t *testing.T) {
	w := newWorld(t)
	creds := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret of the function", SessionToken: "session"}
	answers := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		answers <- verified(t, r, creds)
	}))
	t.Cleanup(srv.Close)
	f := at(srv.URL + "/prefix")
	f.Sign = &catalog.Sign{
		Type: catalog.SignAWS, Service: "lambda", Region: "eu-central-1",
		AccessKey: creds.AccessKeyID, SecretKey: creds.SecretAccessKey, SessionToken: creds.SessionToken,
	}
	w.cluster("c1", f)
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware")
	for name, body := range map[string]string{"none": "", "some": "hello", "large": strings.Repeat("x", 1<<20)} {
		res, err := s.client.Post("http://site/a%20b?q=1&a=%2F", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if problem := <-answers; problem != "" {
			t.Errorf("body %s: %s", name, problem)
		}
	}
	res, err := s.client.Post("http://site/", "text/plain", bytes.NewReader(make([]byte, 6<<20+1)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that can't be signed is answered with %d", res.StatusCode)
	}
}

// verified signs what arrived again, and says what differs.
func verified(t *testing.T, r *http.Request, creds aws.Credentials) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(body)
	got := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(got, "SignedHeaders=")
	signed, _, _ := strings.Cut(rest, ",")
	again, err := http.NewRequestWithContext(t.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), http.NoBody)
	if err != nil {
		return err.Error()
	}
	again.ContentLength = int64(len(body))
	for name := range strings.SplitSeq(signed, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, again, hex.EncodeToString(sum[:]), "lambda", "eu-central-1", at); err != nil {
		return err.Error()
	}
	if want := again.Header.Get("Authorization"); got != want {
		return "the signature is " + got + ", of what arrived it would be " + want
	}
	return ""
}
