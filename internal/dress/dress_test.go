package dress_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/dress"
)

// request is one as Caddy's proxy has it: with variables.
func request(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, make(map[string]any))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://fn.example/function/x?b=2&a=1", body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var signed = &catalog.Function{Sign: &catalog.Sign{Type: catalog.SignAWS, Service: "lambda", Region: "eu-central-1", AccessKey: "AKID", SecretKey: "secret"}}

// An endpoint that declares nothing gets the request as it is.
func TestNothingDeclared(t *testing.T) {
	t.Parallel()
	r := request(t, strings.NewReader("body"))
	body, header := r.Body, len(r.Header)
	if err := dress.Request(r, new(catalog.Function), caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	if r.Body != body || len(r.Header) != header || r.Host != "fn.example" {
		t.Errorf("the request was changed: %+v", r)
	}
}

// A body that was read to be signed is sent by later attempts, signed or not.
func TestABodyIsReadOnceForAllAttempts(t *testing.T) {
	t.Parallel()
	first := request(t, strings.NewReader("the body"))
	for range 2 { // the second attempt finds the first one's body used up
		attempt := first.WithContext(first.Context())
		attempt.Header = first.Header.Clone()
		if err := dress.Request(attempt, signed, caddy.NewReplacer()); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(attempt.Body); string(got) != "the body" || attempt.ContentLength != 8 || err != nil {
			t.Errorf("sent %q of length %d, %v", got, attempt.ContentLength, err)
		}
		if !strings.HasPrefix(attempt.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") {
			t.Errorf("headers %v", attempt.Header)
		}
	}
	plain := dress.AfterSigning(first)
	if got, err := io.ReadAll(plain.Body); string(got) != "the body" || plain.Header.Get("Authorization") != "" || err != nil {
		t.Errorf("sent %q with %v, %v", got, plain.Header, err)
	}
	if other := request(t, strings.NewReader("x")); dress.AfterSigning(other) != other {
		t.Error("a request that nobody read was copied")
	}
}

// Of a body that is too large to be signed only so much is read that this is known.
func TestOnlySoMuchIsSigned(t *testing.T) {
	t.Parallel()
	endless := &counted{}
	err := dress.Request(request(t, endless), signed, caddy.NewReplacer())
	if !errors.Is(err, dress.ErrTooLarge) || endless.n > 16<<20 {
		t.Errorf("error %v after %d bytes", err, endless.n)
	}
}

type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// A placeholder that is not known is named, without what else the value says.
func TestUnknownPlaceholders(t *testing.T) {
	t.Parallel()
	f := &catalog.Function{Header: []catalog.HeaderField{{Name: "Authorization", Value: "Bearer hidden {no.such}"}}}
	err := dress.Request(request(t, nil), f, caddy.NewReplacer())
	if err == nil || !strings.Contains(err.Error(), "header Authorization") || !strings.Contains(err.Error(), "no.such") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error %v", err)
	}
}
